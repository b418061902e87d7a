//! Areas in which an alert holds: codes, polygons and circles on the WGS 84 globe.

use super::Named;

/// The mean radius of the earth in kilometres (IUGG).
const EARTH_KM: f64 = 6_371.008_8;

/// A place, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub latitude: f64,
    pub longitude: f64,
}

/// A closed line without its repeated last corner.
#[derive(Debug, Clone, PartialEq)]
pub struct Polygon(pub Vec<Point>);

/// All within a distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Circle {
    pub centre: Point,
    pub radius_km: f64,
}

/// One area of an alert: the union of what it names.
#[derive(Debug, Clone, PartialEq)]
pub struct Area {
    pub description: String,
    pub polygons: Vec<Polygon>,
    pub circles: Vec<Circle>,
    pub geocodes: Vec<Named>,
}

impl Point {
    /// Latitude and longitude, where there is such a place.
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        ((-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude))
            .then_some(Self { latitude, longitude })
    }

    /// The distance over the ground (haversine).
    pub fn distance_km(self, other: Self) -> f64 {
        let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let (a, b) = (self.latitude.to_radians(), other.latitude.to_radians());
        let chord =
            half(other.latitude - self.latitude) + a.cos() * b.cos() * half(other.longitude - self.longitude);
        2.0 * EARTH_KM * chord.clamp(0.0, 1.0).sqrt().asin()
    }
}

impl Polygon {
    /// Says whether the place is inside or on the line, by counting the sides that a ray crosses. Sides are straight in
    /// degrees, which over a province differs from the great circle by metres.
    pub fn holds(&self, place: Point) -> bool {
        let corners = &self.0;
        let mut inside = false;
        for (n, a) in corners.iter().enumerate() {
            let b = corners[(n + 1) % corners.len()];
            // The shorter way around where a side crosses the date line.
            let east = |longitude: f64| (longitude - place.longitude + 540.0).rem_euclid(360.0) - 180.0;
            let (ax, bx) = (east(a.longitude), east(b.longitude));
            let (ay, by) = (a.latitude - place.latitude, b.latitude - place.latitude);
            let cross = ax * by - bx * ay;
            if cross == 0.0 && ax * bx <= 0.0 && ay * by <= 0.0 {
                return true;
            }
            if (ay > 0.0) != (by > 0.0) && (cross > 0.0) == (by > ay) {
                inside = !inside;
            }
        }
        inside
    }
}

impl Area {
    /// Says whether anything in it can be found on a map: its description is for people only.
    pub fn is_placed(&self) -> bool {
        !(self.polygons.is_empty() && self.circles.is_empty() && self.geocodes.is_empty())
    }

    /// Says whether a place with these codes (`name` and `value`) is in the area. A code of a whole province reaches the codes
    /// that begin with it only where they are listed: nothing is guessed.
    pub fn reaches(&self, place: Option<Point>, codes: &[Named]) -> bool {
        self.geocodes.iter().any(|code| codes.contains(code))
            || place.is_some_and(|place| {
                self.polygons.iter().any(|polygon| polygon.holds(place))
                    || self.circles.iter().any(|circle| circle.centre.distance_km(place) <= circle.radius_km)
            })
    }
}
