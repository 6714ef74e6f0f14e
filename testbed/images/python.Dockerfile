# Debian's Python under the names of Docker's images: `python`, `pip`, and pip may install into the system.
ARG SUITE
FROM debian:${SUITE}-slim
ARG PACKAGES=""
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-pip python3-venv ${PACKAGES} \
 && rm -rf /var/lib/apt/lists/* /usr/lib/python3*/EXTERNALLY-MANAGED \
 && ln -s /usr/bin/python3 /usr/local/bin/python
CMD ["python3"]
