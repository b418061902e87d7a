//! A relay or a button on a line of a GPIO character device (`/dev/gpiochipN`).

use gpiocdev::Request;
use gpiocdev::line::{EdgeDetection, Value};

use loaxa_heart::config::gpio_line::GpioLine;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Something that is on or off.
pub trait Line: Send {
    /// Switches it.
    ///
    /// # Errors
    /// [`LineError`] where it does not obey.
    fn set(&mut self, on: bool) -> Result<(), LineError>;
}

/// Reason for which a line does not obey.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub struct LineError(pub String);

impl Say for LineError {
    fn say(&self) -> Sentence {
        let LineError(detail) = self;
        said!("gpio.bad", detail)
    }
}

impl From<gpiocdev::Error> for LineError {
    fn from(error: gpiocdev::Error) -> Self {
        Self(error.to_string())
    }
}

/// Takes a line as an output that is off; the kernel gives it back when it is dropped.
///
/// # Errors
/// [`LineError`] where there is no such chip or line, or somebody else holds it.
pub fn open(at: &GpioLine) -> Result<Box<dyn Line>, LineError> {
    let mut wanted = Request::builder();
    wanted.on_chip(&at.chip).with_consumer("loaxa").with_line(at.line).as_output(Value::Inactive);
    if at.active_low {
        wanted.as_active_low();
    }
    Ok(Box::new(Held(wanted.request()?)))
}

struct Held(Request);

impl Line for Held {
    fn set(&mut self, on: bool) -> Result<(), LineError> {
        Ok(self.0.set_lone_value(if on { Value::Active } else { Value::Inactive })?)
    }
}

/// A line that a button moves.
pub struct Button(Request);

impl Button {
    /// Takes a line as an input.
    ///
    /// # Errors
    /// [`LineError`] where there is no such chip or line, or somebody else holds it.
    pub fn open(at: &GpioLine) -> Result<Self, LineError> {
        let mut wanted = Request::builder();
        wanted.on_chip(&at.chip).with_consumer("loaxa").with_line(at.line).as_input();
        if at.active_low {
            wanted.as_active_low();
        }
        wanted.with_edge_detection(EdgeDetection::RisingEdge);
        Ok(Self(wanted.request()?))
    }

    /// Waits for the next press.
    ///
    /// # Errors
    /// [`LineError`] where the line is gone.
    pub fn wait(&self) -> Result<(), LineError> {
        Ok(self.0.read_edge_event().map(drop)?)
    }
}
