# Debian as debootstrap makes it. The machine's authorities are local ones, one file each, so that packages keep them when they
# write the list anew. Many tools bring authorities of their own unless they are told of these.
FROM scratch
ADD rootfs.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
RUN mkdir -p /usr/local/share/ca-certificates \
 && csplit --quiet --elide-empty-files --prefix=/usr/local/share/ca-certificates/machine- --suffix-format=%03d.crt \
    /etc/ssl/certs/ca-certificates.crt '/-----BEGIN CERTIFICATE-----/' '{*}' \
 && update-ca-certificates \
 && printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\ndisable-pip-version-check = true\n' > /etc/pip.conf
CMD ["bash"]
