//! The panel for people beside a box: `[button]`, `[lights]` and `[page]` of `box.toml`.

use core::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::fields::Fields;
use super::gpio_line::{GpioLine, active_low, command, gpio, gpio_line};
use crate::said;

/// The panel of a box; all of it may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PanelConfig {
    pub button: ButtonConfig,
    pub lights: LightsConfig,
    /// Loopback address of the status page.
    pub page: Option<SocketAddr>,
}

/// `[button]`: the button of the local emergency.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ButtonConfig {
    pub gpio: Option<GpioLine>,
    /// Program that writes one line for each press; empty for none.
    pub command: Vec<String>,
}

/// `[lights]`: what shows the state of the box.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LightsConfig {
    /// File that holds the words of the state.
    pub file: Option<PathBuf>,
    /// Program that is run with the words of the state as its last arguments; empty for none.
    pub command: Vec<String>,
    /// Lines that are on while their word holds.
    pub lines: Vec<(Light, GpioLine)>,
}

/// A word of the state that lights show; several hold at once, but for `Ok`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Light {
    /// In contact, and nothing is wrong.
    Ok,
    NoContact,
    Fault,
    OnAir,
    /// A first press was taken, and a second one would count now.
    Armed,
}

impl Light {
    /// All of them.
    pub const ALL: [Light; 5] = [Light::Ok, Light::NoContact, Light::Fault, Light::OnAir, Light::Armed];

    /// Returns the word for files and programs, which is the key of its line, too.
    pub const fn word(self) -> &'static str {
        match self {
            Light::Ok => "ok",
            Light::NoContact => "no_contact",
            Light::Fault => "fault",
            Light::OnAir => "on_air",
            Light::Armed => "armed",
        }
    }
}

/// Reads the three sections.
pub(super) fn panel(root: &mut Fields<'_>, base: &Path) -> Option<PanelConfig> {
    let button = button(root.section("button"));
    let lights = lights(root.section("lights"), base);
    let page = page(root.section("page"));
    Some(PanelConfig { button: button?, lights: lights?, page: page? })
}

fn button(mut fields: Fields<'_>) -> Option<ButtonConfig> {
    let command = fields.get("command").map_or(Some(Vec::new()), |value| command(&value));
    let gpio = gpio(&mut fields);
    fields.finish();
    Some(ButtonConfig { gpio: gpio?, command: command? })
}

fn lights(mut fields: Fields<'_>, base: &Path) -> Option<LightsConfig> {
    let file = match fields.get("file") {
        Some(value) => Some(base.join(value.words()?)),
        None => None,
    };
    let command = fields.get("command").map_or(Some(Vec::new()), |value| command(&value));
    let active_low = active_low(&mut fields);
    let mut lines = Vec::new();
    for light in Light::ALL {
        if let Some(value) = fields.get(light.word()) {
            lines.push((light, gpio_line(&value, active_low?)?));
        }
    }
    fields.finish();
    active_low?;
    Some(LightsConfig { file, command: command?, lines })
}

fn page(mut fields: Fields<'_>) -> Option<Option<SocketAddr>> {
    let value = fields.get("listen");
    fields.finish();
    let Some(value) = value else { return Some(None) };
    let address = value.words()?.parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback());
    if address.is_none() {
        value.problem(said!("problem.no_loopback"));
    }
    address.map(Some)
}

#[cfg(test)]
mod tests {
    use crate::config::box_file::{NamedFiles, parse};
    use std::path::Path;

    fn check(panel: &str, expected: Result<(), &str>) {
        let text = format!("[box]\nid = 'thon-1'\ngroups = ['xa']\nstate_dir = 'state'\n{panel}");
        let found = parse(&text, "box.toml", Path::new("/etc/loaxa"), NamedFiles::Unseen);
        match (found, expected) {
            (Ok(_), Ok(())) => {}
            (Err(problems), Err(says)) => assert!(problems.to_string().contains(says), "{panel}: {problems}"),
            (found, _) => panic!("{panel}: {found:?}"),
        }
    }

    #[test]
    fn the_panel_is_read_and_what_is_wrong_is_named() {
        check("[button]\ngpio = 'gpiochip0:27'\nactive_low = 'yes'\ncommand = ['nut']", Ok(()));
        check("[lights]\nok = 'gpiochip0:2'\non_air = 'gpiochip0:3'\nfile = 'den'\ncommand = 'den'", Ok(()));
        check("[page]\nlisten = '127.0.0.1:8081'", Ok(()));
        check("[page]\nlisten = '[::1]:8081'", Ok(()));
        check("[page]\nlisten = '0.0.0.0:8081'", Err("no address of this machine alone"));
        check("[page]\nlisten = 'localhost'", Err("no address of this machine alone"));
        check("[lights]\nred = 'gpiochip0:2'", Err("lights.red"));
        check("[lights]\nfault = '2'", Err("CHIP:LINE"));
        check("[button]\npin = 3", Err("button.pin"));
    }
}
