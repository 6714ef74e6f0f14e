//! What every stand-in is built on: the HTTP server, and the way of a request through faults and log to its answer.

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
