FROM busybox
ENTRYPOINT exec echo "$HOME"   two
CMD echo 'single' "double" \$x $HOME
