//! Signs and states: the components that every page is built of, as `assets/loaxa.css` draws them.

use maud::{Markup, html};

/// A drawing of `assets/icons.svg`; words beside it say the same.
pub fn icon(name: &str) -> Markup {
    html! { svg.i aria-hidden="true" viewBox="0 0 24 24" { use href={ "#i-" (name) } {} } }
}

/// A filled drawing: the shape of a class.
pub fn shape(name: &str) -> Markup {
    html! { svg.i.s aria-hidden="true" viewBox="0 0 24 24" { use href={ "#i-" (name) } {} } }
}

/// A meaning that has a colour and a shape of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Programme,
    Normal,
    Priority,
    Emergency,
    Exercise,
    OnAir,
    Good,
    Quiet,
    Unknown,
    Look,
    Bad,
}

impl Kind {
    /// The class of the stylesheet that sets its colours.
    pub const fn class(self) -> &'static str {
        match self {
            Kind::Programme => "k-prog",
            Kind::Normal => "k-normal",
            Kind::Priority => "k-prio",
            Kind::Emergency => "k-emer",
            Kind::Exercise => "k-exer",
            Kind::OnAir => "k-air",
            Kind::Good => "k-ok",
            Kind::Quiet => "k-quiet",
            Kind::Unknown => "k-unk",
            Kind::Look => "k-look",
            Kind::Bad => "k-bad",
        }
    }

    /// The drawing of its shape.
    pub const fn drawing(self) -> &'static str {
        match self {
            Kind::Programme => "sq",
            Kind::Normal => "ci",
            Kind::Priority => "di",
            Kind::Emergency => "oc",
            Kind::Exercise => "he",
            Kind::OnAir => "wave",
            Kind::Good => "ok",
            Kind::Quiet => "quiet",
            Kind::Unknown => "lost",
            Kind::Look | Kind::Bad => "fix",
        }
    }
}

/// The solid sign of a class of bulletin.
pub fn tag(kind: Kind, words: &str) -> Markup {
    html! { span.tag.(kind.class()) { (shape(kind.drawing())) (words) } }
}

/// A state: an icon and words, never solid, so that nobody takes it for a class.
pub fn state(kind: Kind, words: impl maud::Render) -> Markup {
    html! { span.state.(kind.class()) { (icon(kind.drawing())) span { (words) } } }
}
