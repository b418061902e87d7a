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
mod reconciliation;
mod several;
mod upgrade;

#[path = "../support/mod.rs"]
mod support;
