//! Conditions of a question, as many as were asked: a condition that is always there and may mean nothing hides an index.

use super::engine::Value;

/// Conditions that must all hold, and the values in them.
#[derive(Default)]
pub struct Asked {
    conditions: Vec<String>,
    pub values: Vec<Value>,
}

impl Asked {
    /// Adds a condition such as `box =`, where there is a value for it.
    pub fn and<T: Into<Value>>(&mut self, condition: &str, value: Option<T>) {
        if let Some(value) = value {
            self.conditions.push(format!("{condition} ?"));
            self.values.push(value.into());
        }
    }

    /// Adds a condition with two values in it.
    pub fn and_both<T: Into<Value>>(&mut self, condition: &str, values: Option<[T; 2]>) {
        if let Some(values) = values {
            self.conditions.push(condition.to_owned());
            self.values.extend(values.map(Into::into));
        }
    }

    /// The `WHERE` of the query; empty where everything is asked for.
    pub fn sql(&self) -> String {
        if self.conditions.is_empty() {
            String::new()
        } else {
            format!("WHERE {}", self.conditions.join(" AND "))
        }
    }
}
