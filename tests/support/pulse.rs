//! A sound server without hardware: two outputs, each with a monitor that serves as a microphone.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::eventually;

/// Sound that the server holds for a program, in milliseconds.
const HELD_MS: u32 = 600;

/// PulseAudio in a directory of its own; it ends with the test. Its ALSA devices are `near`, `far` (outputs) and
/// `ear` (a microphone that hears `near`).
pub struct Pulse {
    server: Child,
    dir: PathBuf,
}

impl Pulse {
    pub fn start(dir: &Path) -> Self {
        let sink = |name: &str| {
            format!("load-module module-null-sink sink_name={name} rate=48000 channels=2 norewinds=1\n")
        };
        let socket = dir.join("pulse.sock");
        let native =
            format!("load-module module-native-protocol-unix auth-anonymous=1 socket={}\n", socket.display());
        std::fs::write(dir.join("test.pa"), format!("{}{}{native}", sink("near"), sink("far"))).unwrap();
        let device = |name: &str, pulse: &str| {
            format!(
                "pcm.{name} {{ type pulse server \"unix:{}\" device \"{pulse}\" \
                 hint {{ show on description \"test\" }} }}\n",
                socket.display()
            )
        };
        let devices = device("near", "near") + &device("far", "far") + &device("ear", "near.monitor");
        std::fs::write(dir.join("asound.conf"), devices).unwrap();
        let mut command = Command::new("pulseaudio");
        command.args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]);
        let server = command
            .arg("-F")
            .arg(dir.join("test.pa"))
            .envs(Self::place(dir))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pulseaudio is installed by scripts/setup.sh");
        let pulse = Self { server, dir: dir.to_owned() };
        eventually("a sound server", || socket.exists().then_some(()));
        pulse
    }

    fn place(dir: &Path) -> [(&'static str, PathBuf); 2] {
        [("HOME", dir.to_owned()), ("XDG_RUNTIME_DIR", dir.to_owned())]
    }

    /// Returns the address by which programs of PulseAudio's own reach the server.
    pub fn server(&self) -> String {
        format!("unix:{}", self.dir.join("pulse.sock").display())
    }

    /// Returns the variables that make a program use this server's devices.
    pub fn env(&self) -> Vec<(String, String)> {
        let conf = format!("/usr/share/alsa/alsa.conf:{}", self.dir.join("asound.conf").display());
        let place = Self::place(&self.dir).map(|(key, dir)| (key.to_owned(), dir.display().to_string()));
        // The box holds 20 ms of sound itself, which is too little where threads without real-time rights wait longer for a
        // busy processor: the server would put silence between the pieces.
        let held = ("PULSE_LATENCY_MSEC".to_owned(), HELD_MS.to_string());
        place.into_iter().chain([("ALSA_CONFIG_PATH".to_owned(), conf), held]).collect()
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
