//! What a stage says about the image: its ports and its user.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::expand::expand;
use super::{Arguments, Dockerfile, Instruction, Keyword, Origin};

/// More ports than an image exposes: a range can name 65,535 of them, on each line.
const MAX_PORTS: usize = 1_000;

/// What the instructions of a stage, and of the stages that it's based on, set in the image.
/// Created by [`Dockerfile::image_config`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ImageConfig {
    /// The TCP ports of `EXPOSE`, those of the stage itself first, without duplicates. At most 1000 of each stage.
    pub ports: Vec<u16>,
    /// The last `USER`: a name or number, and the group behind a colon.
    pub user: Option<String>,
    /// The image that all of it is based on; `None` if its name depends on variables without a value.
    pub base: Option<String>,
}

impl Dockerfile<'_> {
    /// The ports, user and base of the image that a build of stage `stage` with these build arguments makes.
    ///
    /// Variables are replaced as BuildKit does it, by the `ENV`s and `ARG`s in front of an instruction, those of the base stages
    /// included. What depends on variables of the base image is left out, because only the image has their values.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use pipeops_dockerfile::Dockerfile;
    ///
    /// let file = Dockerfile::parse(b"FROM node:22 AS base\nENV PORT=3000\nFROM base\nUSER ${UID:-1000}\nEXPOSE $PORT 9000-9001 53/udp\n")?;
    /// let config = file.image_config(1, &BTreeMap::new());
    /// assert_eq!(config.ports, [3000, 9000, 9001]);
    /// assert_eq!(config.user.as_deref(), Some("1000"));
    /// assert_eq!(config.base.as_deref(), Some("node:22"));
    /// # Ok::<(), pipeops_dockerfile::ParseError>(())
    /// ```
    pub fn image_config(&self, stage: usize, build_args: &BTreeMap<String, String>) -> ImageConfig {
        let graph = self.graph(build_args);
        let mut chain = vec![stage];
        let mut config = ImageConfig::default();
        // A base stands in front of its stage, so this ends.
        while let Some(base) = chain.last().and_then(|&last| graph.bases.get(last)) {
            match base {
                Origin::Stage(base) => chain.push(*base),
                Origin::Image(name) => {
                    config.base = Some(name.clone());
                    break;
                }
                Origin::Unknown(_) => break,
            }
        }
        let mut reader = Reader {
            file: self,
            build_args,
            globals: self.globals(build_args),
            values: BTreeMap::new(),
        };
        for stage in chain
            .iter()
            .rev()
            .filter_map(|&number| self.stages.get(number))
        {
            let inherited = std::mem::take(&mut config.ports);
            stage
                .instructions()
                .for_each(|instruction| reader.read(&instruction, &mut config));
            config.ports.extend(inherited);
        }
        let mut seen = std::collections::BTreeSet::new();
        config.ports.retain(|port| seen.insert(*port));
        config
    }
}

/// Reads instructions in order, with the values of variables so far.
struct Reader<'a, 'b> {
    file: &'a Dockerfile<'b>,
    build_args: &'a BTreeMap<String, String>,
    globals: BTreeMap<String, String>,
    values: BTreeMap<String, String>,
}

impl Reader<'_, '_> {
    fn read(&mut self, instruction: &Instruction<'_>, config: &mut ImageConfig) {
        match (instruction.keyword, instruction.arguments) {
            (Keyword::Arg, Arguments::Args(args)) => {
                for arg in args {
                    let name = arg.name();
                    let value =
                        self.build_args
                            .get(&name)
                            .cloned()
                            .or_else(|| match &arg.default {
                                Some(default) => self.expand(default),
                                None => self.globals.get(&name).cloned(),
                            });
                    // Without a value, a variable of this name keeps its own.
                    self.values.extend(value.map(|value| (name, value)));
                }
            }
            (Keyword::Env, Arguments::Pairs(pairs)) => {
                // All values of one instruction are those in front of it.
                let new: Vec<_> = pairs
                    .iter()
                    .filter_map(|pair| Some((self.expand(&pair.key)?, self.expand(&pair.value))))
                    .collect();
                for (name, value) in new {
                    match value {
                        Some(value) => self.values.insert(name, value),
                        None => self.values.remove(&name),
                    };
                }
            }
            (Keyword::Expose, Arguments::Words(words)) => {
                let words = words.iter().filter_map(|word| self.expand(&word.text));
                let ports = words.flat_map(|text| {
                    text.split_whitespace()
                        .filter_map(ports)
                        .collect::<Vec<_>>()
                });
                let room = MAX_PORTS.saturating_sub(config.ports.len());
                config.ports.extend(ports.flatten().take(room));
            }
            (Keyword::User, Arguments::Text(word)) => {
                config.user = self
                    .expand(word.text.trim())
                    .filter(|user| !user.is_empty());
            }
            _ => {}
        }
    }

    fn expand(&self, text: &str) -> Option<String> {
        expand(text, self.file.directives.escape, &self.values)
    }
}

/// The container ports of `[[ip:]port:]port[-port][/tcp]`; `None` for other protocols and what is no port.
fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let ports = ports.rsplit(':').next()?;
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (protocol.eq_ignore_ascii_case("tcp") && 0 < first && first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str, args: &[(&str, &str)]) -> ImageConfig {
        let file = Dockerfile::parse(text.as_bytes()).unwrap();
        let args = args
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()));
        file.image_config(file.stages.len() - 1, &args.collect())
    }

    #[test]
    fn ports_are_expanded_as_buildkit_does() {
        for (text, expected) in [
            (
                "FROM a\nENV PORT=3000\nEXPOSE ${PORT}\n",
                &[3000_u16] as &[u16],
            ),
            ("FROM a\nENV PORT 3000\nEXPOSE $PORT/tcp\n", &[3000]),
            ("FROM a\nARG PORT=4000\nEXPOSE $PORT\n", &[4000]),
            ("ARG PORT=5000\nFROM a\nARG PORT\nEXPOSE $PORT\n", &[5000]),
            // Only `FROM` lines see an `ARG` in front of them.
            ("ARG PORT=5000\nFROM a\nEXPOSE $PORT 80\n", &[80]),
            ("FROM a\nEXPOSE ${PORT:-8000}\n", &[8000]),
            (
                "FROM a\nARG P=1\nENV P=${P}0 Q=$P\nEXPOSE $P $Q\n",
                &[10, 1],
            ),
            (
                "FROM a\nEXPOSE 8000-8002 9000-9000\n",
                &[8000, 8001, 8002, 9000],
            ),
            ("FROM a\nEXPOSE 53/udp 80/TCP 443/sctp 22\n", &[80, 22]),
            ("FROM a\nENV PORTS=\"80 443\"\nEXPOSE $PORTS\n", &[80, 443]),
            ("FROM a\nEXPOSE 127.0.0.1:8080:80\n", &[80]),
            ("FROM a\nEXPOSE 0 99999 9-8 x $Y \"8080\"\n", &[8080]),
            ("FROM a\nENV X=1\nENV X=$PATH\nEXPOSE 8$X 80\n", &[80]),
            (
                "FROM a AS b\nENV P=81\nEXPOSE 80\nFROM b AS c\nFROM c\nEXPOSE $P 80\n",
                &[81, 80],
            ),
            ("FROM a AS b\nEXPOSE 80\nFROM a\n", &[]),
            ("# escape=`\nFROM a\nENV P=`8`0\nEXPOSE $P\n", &[80]),
        ] {
            assert_eq!(config(text, &[]).ports, expected, "{text}");
        }
        let text = "FROM a\nARG PORT=1\nEXPOSE $PORT\n";
        assert_eq!(config(text, &[("PORT", "2")]).ports, [2]);
    }

    #[test]
    fn hostile_files_cost_little() {
        let doubled = format!(
            "FROM a\nENV A=1\n{}EXPOSE $A 80\n",
            "ENV A=$A$A\n".repeat(100)
        );
        assert_eq!(config(&doubled, &[]).ports, [80]);
        let ranges = format!("FROM a\n{}", "EXPOSE 1-65535\n".repeat(10_000));
        assert_eq!(config(&ranges, &[]).ports.len(), MAX_PORTS);
        let meta = format!("ARG A=1\n{}FROM $A\n", "ARG A=$A$A\n".repeat(100));
        config(&meta, &[]);
    }

    #[test]
    fn the_user_is_expanded_and_the_last_one() {
        for (text, expected) in [
            (
                "FROM a\nARG UID=1000\nUSER ${UID}:${UID}\n",
                Some("1000:1000"),
            ),
            (
                "FROM a AS b\nENV APP=shop\nUSER $APP\nFROM b\n",
                Some("shop"),
            ),
            ("FROM a\nUSER 1\nUSER $UNKNOWN\n", None),
            ("FROM a\n", None),
        ] {
            assert_eq!(config(text, &[]).user.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_base_is_the_image_behind_all_stages() {
        let text = "ARG V=1.29\nFROM nginx:$V-alpine AS web\nFROM node AS build\nFROM web\n";
        assert_eq!(config(text, &[]).base.as_deref(), Some("nginx:1.29-alpine"));
        assert_eq!(config("FROM $X\n", &[]).base, None);
        let file = Dockerfile::parse(b"ARG A=1\n").unwrap();
        assert_eq!(
            file.image_config(0, &BTreeMap::new()),
            ImageConfig::default()
        );
    }
}
