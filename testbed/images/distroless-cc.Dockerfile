# As gcr.io/distroless/cc: the above and what a dynamically linked program needs.
FROM debian:bookworm-slim AS debian
RUN mkdir -p /out/lib64 /out/usr/lib \
 && libraries=/usr/lib/$(uname -m)-linux-gnu && mkdir -p /out$libraries \
 && for name in libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2 libnss_dns.so.2 libnss_files.so.2 libgcc_s.so.1 libstdc++.so.6; \
    do cp -L $libraries/$name /out$libraries/; done \
 && ln -s usr/lib /out/lib \
 && loader=$(ls /lib64/ld-linux-*.so.* /lib/ld-linux-*.so.* 2>/dev/null | head -n 1) && cp -L $loader /out/lib64/

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=debian /out/ /
