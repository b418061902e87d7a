use std::process::ExitCode;

use super::Outcome;
use super::client::CentralArgs;

#[derive(clap::Args)]
pub struct Args {
    /// The announcement to stop; without it, everything that is not a slot of a programme.
    id: Option<String>,
    #[command(flatten)]
    central: CentralArgs,
}

pub fn run(args: Args) -> Outcome {
    let client = args.central.client()?;
    let path = args.id.as_ref().map_or_else(|| "stop".to_owned(), |id| format!("announcements/{id}/cancel"));
    let answer = client.post(&path, "text/plain", b"")?;
    let sent = client.lang.pick("đã gửi lệnh dừng", "sent the order to stop");
    println!("{sent} {}", answer["id"].as_str().unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}
