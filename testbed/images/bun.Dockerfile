# Bun, from npm. Its installer fetches the program for this processor.
FROM node:22-slim AS fetch
RUN npm install --global --no-fund --no-audit bun && cp -L "$(command -v bun)" /bun

FROM debian:bookworm-slim
RUN groupadd --gid 1000 bun && useradd --uid 1000 --gid bun --create-home bun
COPY --from=fetch /bun /usr/local/bin/bun
RUN ln -s bun /usr/local/bin/bunx && bun --version
WORKDIR /home/bun/app
CMD ["bun"]
