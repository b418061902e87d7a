//! A check of the protocol, and the broker over which it is made.

use std::path::PathBuf;

use loaxa_heart::texts::Sentence;
use loaxa_heart::wire::broker_address::BrokerAddress;

#[derive(clap::Args)]
pub struct Broker {
    #[arg(long)]
    pub broker: BrokerAddress,
    #[arg(long)]
    pub ca: Option<PathBuf>,
    #[arg(long, num_args = 2, value_names = ["CERTIFICATE", "KEY"])]
    pub identity: Option<Vec<PathBuf>>,
}

/// A check: the key of its sentence in the texts, its section in docs/protocol.md, and the function that makes it.
pub struct Check<T>(pub &'static str, pub &'static str, pub fn(&mut T) -> Result<(), Sentence>);
