# Debian's static busybox, with every applet by its own name (httpd and nc among them).
FROM scratch AS build
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir -p /etc /tmp /root /home \
 && chmod 1777 /tmp \
 && echo 'root:x:0:0:root:/root:/bin/sh' > /etc/passwd \
 && echo 'nobody:x:65534:65534:nobody:/home:/bin/false' >> /etc/passwd \
 && echo 'root:x:0:' > /etc/group \
 && echo 'nobody:x:65534:' >> /etc/group

FROM scratch
COPY --from=build /bin /bin
COPY --from=build /etc/passwd /etc/group /etc/
COPY --from=build /tmp /tmp
COPY --from=build /root /root
COPY --from=build /home /home
ENV PATH=/bin
CMD ["sh"]
