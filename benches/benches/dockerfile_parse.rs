//! Our Dockerfile parser against two published ones, over a large file and a usual one, of instructions that all three take.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench dockerfile_parse`

use pipeops_benches::{Contender, answered_peak, medians, peaks};

const CONTENDERS: &[Contender] = &[
    ("pipeops-core", pipeops),
    ("parse-dockerfile 0.1.9", parse_dockerfile),
    ("dockerfile-parser 0.9.0", dockerfile_parser),
];

const ROUNDS: usize = 11;

fn main() {
    let large = large();
    if answered_peak(CONTENDERS, &large) {
        return;
    }
    let instructions = pipeops(USUAL);
    for (name, run) in CONTENDERS {
        assert_eq!(run(&large), INSTRUCTIONS, "{name} reads something else");
        assert_eq!(run(USUAL), instructions, "{name} reads something else");
    }
    let usual = medians(CONTENDERS, USUAL, ROUNDS);
    print("a usual file", USUAL, &usual, &[]);
    let times = medians(CONTENDERS, &large, ROUNDS);
    print("a large file", &large, &times, &peaks(CONTENDERS));
}

fn print(title: &str, input: &str, times: &[std::time::Duration], peaks: &[Option<u64>]) {
    println!(
        "{title}: {} lines, {} bytes",
        input.lines().count(),
        input.len()
    );
    for (at, ((name, _), time)) in CONTENDERS.iter().zip(times).enumerate() {
        let ratio = time.as_secs_f64() / times[0].as_secs_f64();
        let micros = time.as_secs_f64() * 1e6;
        let peak = peaks.get(at).copied().flatten();
        let peak = peak.map_or(String::new(), |peak| format!("  peak +{peak} KiB"));
        println!("  {name:24} {micros:>12.1} µs  {ratio:>6.2} × ours{peak}");
    }
}

fn pipeops(text: &str) -> usize {
    use pipeops_dockerfile::Dockerfile;
    let file = Dockerfile::parse(text.as_bytes()).expect("it parses");
    let in_stages = file
        .stages
        .iter()
        .map(|stage| 1 + stage.instructions().len());
    file.meta_args.len() + in_stages.sum::<usize>()
}

fn parse_dockerfile(text: &str) -> usize {
    parse_dockerfile::parse(text)
        .expect("it parses")
        .instructions
        .len()
}

fn dockerfile_parser(text: &str) -> usize {
    dockerfile_parser::Dockerfile::parse(text)
        .expect("it parses")
        .instructions
        .len()
}

/// How many instructions the large file has.
const INSTRUCTIONS: usize = 38_000;

/// About a megabyte.
fn large() -> String {
    let mut text = String::from("ARG BASE=3.22\nFROM alpine:${BASE} AS base\n");
    for number in 2..INSTRUCTIONS {
        let line = match number % 10 {
            0 => format!("ARG VERSION_{number}=1.{number}"),
            1 => format!("ENV NAME_{number}=value PATH_{number}=/usr/lib/{number}"),
            2 => format!("RUN apk add --no-cache \\\n    package-{number}"),
            3 => format!("COPY --chown=1000:1000 source/{number} /app/{number}"),
            4 => format!("LABEL org.example.number={number}"),
            5 => format!("WORKDIR /app/{number}"),
            6 => "EXPOSE 8080".to_owned(),
            7 => format!("RUN echo \"step {number}\" && true"),
            8 => "USER 65532".to_owned(),
            _ => format!("COPY file-{number} /etc/"),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// As people write them.
const USUAL: &str = r#"# The image of the shop's web server.
ARG NODE_VERSION=22

FROM node:${NODE_VERSION}-slim AS base
ENV NODE_ENV=production
WORKDIR /app

# Dependencies first: they change less often than the sources.
FROM base AS dependencies
COPY package.json package-lock.json ./
RUN npm ci --omit=dev && \
    npm cache clean --force

FROM base AS build
ENV NODE_ENV=development
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json vite.config.ts ./
COPY src ./src
COPY public ./public
ARG COMMIT=unknown
ENV COMMIT=${COMMIT}
RUN npm run lint && \
    npm run test && \
    npm run build

FROM base AS run
LABEL org.opencontainers.image.title="shop" \
    org.opencontainers.image.vendor="example"
ENV PORT=8080
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --chown=1000:1000 server.js ./
RUN mkdir -p /tmp/cache && \
    chown 1000:1000 /tmp/cache
USER 1000:1000
EXPOSE 8080
VOLUME /tmp/cache
STOPSIGNAL SIGTERM
ENTRYPOINT ["node"]
CMD ["server.js"]
"#;
