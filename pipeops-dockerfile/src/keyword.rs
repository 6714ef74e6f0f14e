//! The names of instructions.

use std::fmt;

macro_rules! keywords {
    ($($variant:ident $name:literal,)*) => {
        /// What an instruction does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Keyword {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Keyword {
            /// All of them, in alphabetical order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name, in upper case.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            #[inline]
            fn find_upper(name: &[u8]) -> Option<Self> {
                // Fixed lengths compare faster than those of a list.
                match name {
                    $(name if name == $name.as_bytes() => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

keywords! {
    Add "ADD",
    Arg "ARG",
    Cmd "CMD",
    Copy "COPY",
    Entrypoint "ENTRYPOINT",
    Env "ENV",
    Expose "EXPOSE",
    From "FROM",
    Healthcheck "HEALTHCHECK",
    Label "LABEL",
    Maintainer "MAINTAINER",
    Onbuild "ONBUILD",
    Run "RUN",
    Shell "SHELL",
    Stopsignal "STOPSIGNAL",
    User "USER",
    Volume "VOLUME",
    Workdir "WORKDIR",
}

impl Keyword {
    /// The keyword of this name, in any case of ASCII.
    #[inline]
    pub(super) fn find(name: &[u8]) -> Option<Self> {
        // Nearly always in upper case.
        Self::find_upper(name).or_else(|| {
            let same = |keyword: &Self| keyword.as_str().as_bytes().eq_ignore_ascii_case(name);
            Self::ALL.iter().copied().find(same)
        })
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_keyword_is_found_by_its_name() {
        for &keyword in Keyword::ALL {
            let name = keyword.as_str();
            let lower = name.to_lowercase();
            assert_eq!(Keyword::find(name.as_bytes()), Some(keyword));
            assert_eq!(Keyword::find(lower.as_bytes()), Some(keyword));
            assert_eq!(Keyword::find(&name.as_bytes()[1..]), None);
        }
        for name in ["", "R\u{15}N", "RUN ", "R\u{F5}N"] {
            assert_eq!(Keyword::find(name.as_bytes()), None, "{name}");
        }
    }
}
