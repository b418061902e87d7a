//! Properties of a calendar's components by their names, in whichever case.

use icalendar::parser::{Component, Property};

pub(super) fn all<'c>(component: &'c Component<'_>, name: &'c str) -> impl Iterator<Item = &'c Property<'c>> {
    component.properties.iter().filter(move |property| property.name.as_str().eq_ignore_ascii_case(name))
}

pub(super) fn value<'c>(component: &'c Component<'_>, name: &'c str) -> Option<&'c str> {
    all(component, name).next().map(|property| property.val.as_str())
}

pub(super) fn parameter<'c>(property: &'c Property<'_>, name: &str) -> Option<&'c str> {
    let found = property.params.iter().find(|parameter| parameter.key.as_str().eq_ignore_ascii_case(name))?;
    Some(found.val.as_ref()?.as_str().trim_matches('"'))
}
