//! The one table of topics, both ways.
//!
//! Only what every MQTT broker does alike is used here: plain levels, `+` in filters, and `$share` on central's side.

use std::fmt;
use std::str::FromStr;

use crate::domain::ids::{BoxId, GroupId};
use crate::said;
use crate::texts::{Say, Sentence};

/// The address of a message at the broker.
///
/// ```
/// use loaxa_heart::wire::topics::{Down, Topic, Up};
///
/// let topic: Topic = "loaxa/v1/box/thon-1.loa-2/up/log".parse().unwrap();
/// assert_eq!(topic, Topic::Up("thon-1.loa-2".parse().unwrap(), Up::Log));
/// assert_eq!(topic.to_string(), "loaxa/v1/box/thon-1.loa-2/up/log");
///
/// let ack = Topic::Down("thon-1.loa-2".parse().unwrap(), Down::LogAck);
/// assert_eq!(ack.to_string(), "loaxa/v1/box/thon-1.loa-2/down/log-ack");
///
/// let all = Topic::Group("xa-dong".parse().unwrap());
/// assert_eq!(all.to_string(), "loaxa/v1/group/xa-dong/down/command");
///
/// assert!("loaxa/v2/box/a/up/log".parse::<Topic>().is_err());
/// assert!("loaxa/v1/box/+/up/log".parse::<Topic>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// From a box to central.
    Up(BoxId, Up),
    /// From central to one box.
    Down(BoxId, Down),
    /// Commands from central to all boxes of a group.
    Group(GroupId),
}

/// The messages of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Up {
    /// First message on each connection.
    Hello,
    /// Every 60 s.
    Heartbeat,
    /// A batch of log records.
    Log,
    /// The last will.
    Lost,
    /// A request for a new certificate.
    Renew,
}

/// The messages of central to one box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Down {
    /// The answer to a hello.
    Welcome,
    /// A signed command.
    Command,
    /// The number up to which the log has arrived.
    LogAck,
    /// A signed trust document.
    Trust,
    /// A new certificate.
    Certificate,
}

impl Up {
    /// All of them.
    pub const ALL: [Up; 5] = [Up::Hello, Up::Heartbeat, Up::Log, Up::Lost, Up::Renew];

    /// Returns the last level of the topic.
    pub const fn level(self) -> &'static str {
        match self {
            Up::Hello => "hello",
            Up::Heartbeat => "heartbeat",
            Up::Log => "log",
            Up::Lost => "lost",
            Up::Renew => "renew",
        }
    }
}

impl Down {
    /// All of them.
    pub const ALL: [Down; 5] = [Down::Welcome, Down::Command, Down::LogAck, Down::Trust, Down::Certificate];

    /// Returns the last level of the topic.
    pub const fn level(self) -> &'static str {
        match self {
            Down::Welcome => "welcome",
            Down::Command => "command",
            Down::LogAck => "log-ack",
            Down::Trust => "trust",
            Down::Certificate => "certificate",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topic::Up(id, up) => write!(f, "loaxa/v1/box/{id}/up/{}", up.level()),
            Topic::Down(id, down) => write!(f, "loaxa/v1/box/{id}/down/{}", down.level()),
            Topic::Group(group) => write!(f, "loaxa/v1/group/{group}/down/command"),
        }
    }
}

/// A topic that is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub struct NotATopic(pub String);

impl Say for NotATopic {
    fn say(&self) -> Sentence {
        let NotATopic(topic) = self;
        said!("topic.bad", topic = topic.escape_debug())
    }
}

impl FromStr for Topic {
    type Err = NotATopic;

    fn from_str(text: &str) -> Result<Self, NotATopic> {
        let parse = || {
            let levels: Vec<&str> = text.splitn(7, '/').collect();
            match levels.as_slice() {
                ["loaxa", "v1", "box", id, "up", last] => {
                    let up = Up::ALL.into_iter().find(|up| up.level() == *last)?;
                    Some(Topic::Up(id.parse().ok()?, up))
                }
                ["loaxa", "v1", "box", id, "down", last] => {
                    let down = Down::ALL.into_iter().find(|down| down.level() == *last)?;
                    Some(Topic::Down(id.parse().ok()?, down))
                }
                ["loaxa", "v1", "group", group, "down", "command"] => Some(Topic::Group(group.parse().ok()?)),
                _ => None,
            }
        };
        parse().ok_or_else(|| NotATopic(text.chars().take(SHOWN_CHARS_MAX).collect()))
    }
}

/// Most characters of a foreign topic that an error shows.
const SHOWN_CHARS_MAX: usize = 160;

/// Returns the filters that a box subscribes to: its own `down` topics and the commands of its groups, each by its exact
/// name. A broker finds an exact topic at once, and compares each message with every filter that has a wildcard.
///
/// ```
/// let filters = loaxa_heart::wire::topics::box_filters(&"loa-1".parse().unwrap(), &["xa".parse().unwrap()]);
/// assert_eq!(filters.len(), 6);
/// assert!(filters.contains(&"loaxa/v1/box/loa-1/down/welcome".to_owned()));
/// assert!(filters.contains(&"loaxa/v1/group/xa/down/command".to_owned()));
/// ```
pub fn box_filters<'a>(id: &BoxId, groups: impl IntoIterator<Item = &'a GroupId>) -> Vec<String> {
    let own = Down::ALL.into_iter().map(|down| Topic::Down(id.clone(), down).to_string());
    let groups = groups.into_iter().map(|group| Topic::Group(group.clone()).to_string());
    own.chain(groups).collect()
}

/// Returns the filter that central subscribes to: all that boxes say.
///
/// ```
/// assert_eq!(loaxa_heart::wire::topics::central_filter(None), "loaxa/v1/box/+/up/+");
/// assert_eq!(loaxa_heart::wire::topics::central_filter(Some("c")), "$share/c/loaxa/v1/box/+/up/+");
/// ```
pub fn central_filter(share: Option<&str>) -> String {
    let all = "loaxa/v1/box/+/up/+";
    share.map_or_else(|| all.to_owned(), |share| format!("$share/{share}/{all}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(topic: Topic, expected: &str) {
        assert_eq!(topic.to_string(), expected);
        assert_eq!(expected.parse(), Ok(topic));
    }

    #[test]
    fn every_topic_goes_both_ways() {
        let id = || BoxId::new("loa-1").unwrap();
        for up in Up::ALL {
            check(Topic::Up(id(), up), &format!("loaxa/v1/box/loa-1/up/{}", up.level()));
        }
        for down in Down::ALL {
            check(Topic::Down(id(), down), &format!("loaxa/v1/box/loa-1/down/{}", down.level()));
        }
        check(Topic::Group(GroupId::new("xa").unwrap()), "loaxa/v1/group/xa/down/command");
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "loaxa/v1/box/loa-1/up/hello/",
            "loaxa/v1/box/loa-1/up/hello/more/levels",
            "loaxa/v1/box//up/hello",
            "loaxa/v1/box/loa-1/up/welcome",
            "loaxa/v1/box/loa-1/down/hello",
            "loaxa/v1/box/LOA/up/hello",
            "loaxa/v1/group/xa/down/trust",
            "/loaxa/v1/group/xa/down/command",
        ] {
            assert!(text.parse::<Topic>().is_err(), "{text}");
        }
    }
}
