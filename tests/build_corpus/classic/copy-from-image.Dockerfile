FROM scratch
COPY --from=busybox /etc/passwd /etc/group /from/
COPY --from=busybox /www /www
CMD ["none"]
