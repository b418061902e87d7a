//! The choice of lines that a reader makes, as the form sends it.

use chrono::NaiveDate;
use serde::Deserialize;

use crate::app::App;
use crate::reports;
use crate::store::{AiringFilter, AiringRow, Fate};
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::ids::{BoxId, CampaignId, GroupId, SectionId};
use loaxa_heart::domain::time::{Span, Wall};

/// Classes in the order of the form.
pub const CLASSES: [Rung; 6] =
    [Rung::Programme, Rung::Normal, Rung::Priority, Rung::Emergency, Rung::Live, Rung::Exercise];

/// A choice. Fields that are empty, or are not understood, choose nothing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Chosen {
    /// Days as browsers send them: `2026-11-26`.
    pub tu: String,
    pub den: String,
    /// A group, or a box as `box/loa-1`.
    pub noi: String,
    pub muc: String,
    pub loai: String,
    pub dot: String,
    pub nguoi: String,
    pub kq: String,
    /// The last line of the page before: its time and number.
    pub truoc: String,
}

/// Tells of what a box is in addresses.
const BOX: &str = "box/";

/// Characters of a name that is looked for.
const NAME_MAX: usize = 200;

impl Chosen {
    /// Today, where no day is chosen; in all other cases what was chosen.
    pub fn or_today(mut self, today: NaiveDate) -> Self {
        if self.tu.is_empty() && self.den.is_empty() {
            (self.tu, self.den) = (today.to_string(), today.to_string());
        }
        self
    }

    /// The question for the store.
    pub fn filter(&self, app: &App, limit: u32) -> AiringFilter {
        let begin = |text: &str| {
            text.parse::<NaiveDate>().ok().map(|day| Wall::from_local(day.and_time(chrono::NaiveTime::MIN)))
        };
        let id = self.noi.strip_prefix(BOX).and_then(|id| BoxId::new(id).ok());
        let group = GroupId::new(self.noi.as_str()).ok();
        AiringFilter {
            from: begin(&self.tu),
            to: begin(&self.den).map(|at| at.plus(Span::secs(86_400))),
            id,
            villages: group.map(|group| reports::below(app, &group)).unwrap_or_default(),
            class: CLASSES.into_iter().find(|class| code(*class) == self.loai),
            campaign: CampaignId::new(self.dot.as_str()).ok(),
            section: SectionId::new(self.muc.as_str()).ok(),
            person: Some(self.nguoi.trim().chars().take(NAME_MAX).collect())
                .filter(|it: &String| !it.is_empty()),
            fate: Fate::ALL.into_iter().find(|fate| fate.code() == self.kq),
            before: self
                .truoc
                .split_once('-')
                .and_then(|(at, id)| Some((Wall(at.parse().ok()?), id.parse().ok()?))),
            limit,
        }
    }

    /// The address of the same choice under a path, from the line after `last` on.
    pub fn address(&self, path: &str, last: Option<&AiringRow>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let fields = [
            ("tu", &self.tu),
            ("den", &self.den),
            ("noi", &self.noi),
            ("muc", &self.muc),
            ("loai", &self.loai),
            ("dot", &self.dot),
            ("nguoi", &self.nguoi),
            ("kq", &self.kq),
        ];
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        if let Some(last) = last {
            query.append_pair("truoc", &format!("{}-{}", last.airing.due.0, last.id));
        }
        format!("{path}?{}", query.finish())
    }
}

/// The word of a class in addresses and tables of texts.
pub fn code(class: Rung) -> String {
    crate::web::words::code_of(&class)
}
