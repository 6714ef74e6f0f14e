//! The HTTP server of every stand-in, with faults and a request log.

mod answer;
mod exchange;
mod lock;
mod query;
mod server;

pub(crate) use answer::{Answer, Body, BoxError, Cut, empty, full, set_headers, with_type};
pub(crate) use exchange::{Base, BodyError, Exchange, Service, basic_credentials, call, start};
pub(crate) use lock::lock;
pub(crate) use query::{Query, query_pairs};
pub(crate) use server::{Server, Switch};
