//! Forms: their fields, what was sent, and faults above and beside the fields.

use std::collections::BTreeMap;

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, Request};
use maud::{Markup, html};

use super::frame::Frame;
use super::parts::icon;
use loaxa_heart::texts::Sentence;

/// The part of an address behind the question mark.
pub type Query = axum::extract::Query<BTreeMap<String, String>>;

/// A fault of a form, and the field that it belongs to.
pub struct Fault {
    pub field: &'static str,
    pub said: Sentence,
}

/// The faults of a form.
#[derive(Default)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    pub fn one(field: &'static str, said: Sentence) -> Self {
        Self(vec![Fault { field, said }])
    }

    pub fn add(&mut self, field: &'static str, said: Sentence) {
        self.0.push(Fault { field, said });
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells whether a field has a fault.
    pub fn has(&self, field: &str) -> bool {
        self.of(field).is_some()
    }

    fn of<'f>(&'f self, field: &str) -> Option<&'f Sentence> {
        self.0.iter().find(|fault| fault.field == field).map(|fault| &fault.said)
    }

    /// The summary above a form; each line leads to its field. The script `form.js` moves the focus to it.
    pub fn summary(&self, frame: &Frame) -> Markup {
        html! {
            @if !self.is_empty() {
                div.err-sum.tight.narrow #cho-can-sua role="alert" tabindex="-1" {
                    h2 { (frame.say("page.to_mend")) }
                    @for fault in &self.0 { p { a href={ "#" (fault.field) } { (frame.tell(&fault.said)) } } }
                }
            }
        }
    }

    /// The same words beside the field.
    pub fn beside(&self, frame: &Frame, field: &str) -> Markup {
        html! {
            @if let Some(said) = self.of(field) {
                p.err id={ (field) "-e" } { (icon("no")) " " (frame.tell(said)) }
            }
        }
    }
}

/// A field of one line.
pub struct Input<'a> {
    pub id: &'static str,
    pub label: &'a str,
    pub hint: Option<&'a str>,
    pub value: &'a str,
    pub kind: &'static str,
    pub autocomplete: Option<&'static str>,
    pub class: Option<&'static str>,
    pub required: bool,
}

impl<'a> Input<'a> {
    pub const fn text(id: &'static str, label: &'a str, value: &'a str) -> Self {
        Self { id, label, hint: None, value, kind: "text", autocomplete: None, class: None, required: true }
    }

    pub const fn password(id: &'static str, label: &'a str, autocomplete: &'static str) -> Self {
        let text = Self::text(id, label, "");
        Self { kind: "password", autocomplete: Some(autocomplete), ..text }
    }

    /// Draws the field with its fault, if it has one.
    pub fn draw(&self, frame: &Frame, faults: &Faults) -> Markup {
        let bad = faults.of(self.id).is_some();
        let mut described = Vec::new();
        described.extend(self.hint.map(|_| format!("{}-h", self.id)));
        described.extend(bad.then(|| format!("{}-e", self.id)));
        let described = (!described.is_empty()).then(|| described.join(" "));
        html! {
            div.field.bad[bad] {
                label for=(self.id) { (self.label) }
                @if let Some(hint) = self.hint { p.hint id={ (self.id) "-h" } { (hint) } }
                (faults.beside(frame, self.id))
                input id=(self.id) name=(self.id) type=(self.kind) value=[(!self.value.is_empty()).then_some(self.value)]
                    class=[self.class] autocomplete=[self.autocomplete] required[self.required]
                    aria-invalid=[bad.then_some("true")] aria-describedby=[described];
                @if self.kind == "password" {
                    button.link type="button" hidden data-hien=(self.id) aria-pressed="false" { (frame.say("page.show_password")) }
                }
            }
        }
    }
}

/// The fields of a form as they came, a name as often as it was sent.
pub struct Sent(pub Vec<(String, String)>);

impl Sent {
    /// The first value of a name; empty where it was not sent.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value.as_str())
    }

    /// All values of a name.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = FormRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, FormRejection> {
        let Form(pairs) = Form::<Vec<(String, String)>>::from_request(request, state).await?;
        Ok(Self(pairs))
    }
}
