# What Kubernetes runs to hold the network of a pod. It only has to stay.
FROM scratch
COPY busybox /busybox
USER 65535:65535
ENTRYPOINT ["/busybox", "sleep", "infinity"]
