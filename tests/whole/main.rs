//! Box and centre together, over a real broker, under faults.

mod central_orders;
mod cluster;
mod conformance;
mod demo;
mod faults;
mod fleet;
mod install;
mod live;
mod network;
mod packages;
mod postgres;
mod postgres_full;
mod postgres_officers;
mod postgres_slow;
mod postgres_unsent;
mod reconciliation;
mod recovery;
mod several;
mod several_hung;
mod several_sent;
mod upgrade;

#[path = "../support/mod.rs"]
mod support;
