//! The three announcements that staff push while the morning programme sounds.

use serde_json::json;

use super::files::{COMMUNE, Commune};
use super::story::say;
use crate::commands::announce;
use crate::commands::client::{self, Client};
use crate::commands::language::Failure;
use loaxa_heart::domain::announcement::{BulletinClass, Rung};
use loaxa_heart::domain::ids::CommandId;
use loaxa_heart::domain::playback::PlayStart;
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;

/// An announcement, and when in the morning staff push it.
pub struct Cue {
    /// Pushed so long after this file has begun somewhere.
    after: (&'static str, Span),
    pub to: &'static str,
    pub class: BulletinClass,
    pub title: &'static str,
    said: Said,
    tells: Sentence,
    due: Option<Moment>,
    pub id: Option<CommandId>,
}

enum Said {
    Text(&'static str),
    /// A file of the example.
    Audio(&'static str),
}

/// The announcements, in the order of their time.
pub fn all() -> [Cue; 3] {
    let cue = |after, to, class, title, said, tells| Cue {
        after,
        to,
        class,
        title,
        said,
        tells,
        due: None,
        id: None,
    };
    [
        cue(
            ("loi-chao-sang.mp3", Span::secs(1)),
            COMMUNE,
            BulletinClass::Priority,
            "Tạm ngừng cấp nước",
            Said::Text("Ngày mai, từ tám giờ đến mười một giờ, xã tạm ngừng cấp nước để sửa đường ống."),
            said!("cue.priority"),
        ),
        cue(
            ("nong-nghiep-lua.m4a", Span::secs(2)),
            "thon-dong",
            BulletinClass::Normal,
            "Họp thôn Đông",
            Said::Text("Mời bà con thôn Đông họp tại nhà văn hóa, bảy giờ tối nay."),
            said!("cue.normal"),
        ),
        cue(
            ("buoi-sang.mp3", Span::secs(8)),
            COMMUNE,
            BulletinClass::Emergency,
            "Bão khẩn cấp",
            Said::Audio("khan-cap-bao.mp3"),
            said!("cue.emergency"),
        ),
    ]
}

impl Cue {
    fn is_emergency(&self) -> bool {
        self.class == BulletinClass::Emergency
    }

    /// The rung on which it sounds.
    pub fn rung(&self) -> Rung {
        match self.class {
            BulletinClass::Normal => Rung::Normal,
            BulletinClass::Priority => Rung::Priority,
            BulletinClass::Emergency => Rung::Emergency,
        }
    }

    /// Notices that a play has begun.
    pub fn hear(&mut self, start: &PlayStart, now: Moment) {
        let (file, after) = self.after;
        if self.due.is_none() && start.source.ends_with(file) {
            self.due = Some(now + after);
        }
    }

    /// Pushes it when its time has come, by the same call as `loaxa announce`.
    ///
    /// # Errors
    /// The sentence with which central refuses.
    pub fn push(&mut self, client: &Client, commune: &Commune, now: Moment) -> Result<(), Failure> {
        if self.id.is_some() || self.due.is_none_or(|due| due > now) {
            return Ok(());
        }
        say(said!("cue.told", what = self.tells));
        let class = serde_json::to_value(self.class)?;
        let (text, audio) = match self.said {
            Said::Text(text) => (Some(text), None),
            Said::Audio(file) => (None, Some(commune.path("binh-minh/audio").join(file))),
        };
        let fields = json!({
            "to": [self.to], "class": class, "title": self.title, "text": text,
            "opening": if self.is_emergency() { "siren" } else { "chime" },
            "author": "Lê Thị Mai", "approver": "Phạm Văn Long",
        });
        let sent = announce::send(client, &fields, audio.as_deref())?;
        self.id = Some(client::text(&sent["id"]).parse()?);
        Ok(())
    }
}
