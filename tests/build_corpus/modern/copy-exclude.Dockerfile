FROM busybox
COPY --exclude=*.md --exclude=sub dir /d/
COPY --exclude=**/*.txt dir /e/
COPY --exclude=b* *.txt /f/
RUN [ -f /d/one.txt ] && [ ! -e /d/two.md ] && [ ! -e /d/sub ]
RUN [ -f /e/two.md ] && [ ! -e /e/one.txt ] && [ ! -e /e/sub/deep.txt ]
RUN [ -f /f/a.txt ] && [ ! -e /f/b.txt ]
