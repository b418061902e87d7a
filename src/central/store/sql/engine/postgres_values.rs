//! Values on their way to a PostgreSQL server and back, in the five kinds that SQLite has.

use std::error::Error;

use postgres::types::private::BytesMut;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

type Bad = Box<dyn Error + Send + Sync>;

/// The sign that stands for the one that a server can't keep in a text.
const NO_SIGN: &str = "\u{FFFD}";

/// A value that is sent as the type that the server asks for.
#[derive(Debug)]
pub struct Bound<'a>(pub ToSqlOutput<'a>);

impl Bound<'_> {
    fn value(&self) -> Result<ValueRef<'_>, Bad> {
        match &self.0 {
            ToSqlOutput::Borrowed(value) => Ok(*value),
            ToSqlOutput::Owned(Value::Null) => Ok(ValueRef::Null),
            ToSqlOutput::Owned(Value::Integer(number)) => Ok(ValueRef::Integer(*number)),
            ToSqlOutput::Owned(Value::Real(number)) => Ok(ValueRef::Real(*number)),
            ToSqlOutput::Owned(Value::Text(text)) => Ok(ValueRef::Text(text.as_bytes())),
            ToSqlOutput::Owned(Value::Blob(bytes)) => Ok(ValueRef::Blob(bytes)),
            other => Err(format!("a value that no column holds: {other:?}").into()),
        }
    }
}

impl ToSql for Bound<'_> {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Bad> {
        match (self.value()?, of) {
            (ValueRef::Null, _) => return Ok(IsNull::Yes),
            (ValueRef::Integer(number), &Type::INT8) => out.extend_from_slice(&number.to_be_bytes()),
            (ValueRef::Integer(number), &Type::INT4) => {
                out.extend_from_slice(&i32::try_from(number)?.to_be_bytes());
            }
            (ValueRef::Integer(number), &Type::BOOL) => out.extend_from_slice(&[u8::from(number != 0)]),
            (ValueRef::Integer(number), &Type::FLOAT8) => {
                out.extend_from_slice(&(number as f64).to_be_bytes())
            }
            (ValueRef::Real(number), &Type::FLOAT8) => out.extend_from_slice(&number.to_be_bytes()),
            (ValueRef::Text(text), &(Type::TEXT | Type::VARCHAR | Type::UNKNOWN)) => {
                if text.contains(&0) {
                    let text = std::str::from_utf8(text)?.replace('\0', NO_SIGN);
                    out.extend_from_slice(text.as_bytes());
                } else {
                    out.extend_from_slice(text);
                }
            }
            (ValueRef::Blob(bytes), &Type::BYTEA) => out.extend_from_slice(bytes),
            (value, of) => return Err(format!("a {:?} for a {of}", value.data_type()).into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value as the server sent it.
pub struct Raw<'a> {
    of: Type,
    bytes: &'a [u8],
}

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(of: &Type, bytes: &'a [u8]) -> Result<Self, Bad> {
        Ok(Self { of: of.clone(), bytes })
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl<'a> Raw<'a> {
    /// The value, in the kind that SQLite has for it.
    pub fn value(self) -> Result<ValueRef<'a>, Bad> {
        Ok(match self.of {
            Type::INT8 => ValueRef::Integer(i64::from_be_bytes(self.bytes.try_into()?)),
            Type::INT4 => ValueRef::Integer(i32::from_be_bytes(self.bytes.try_into()?).into()),
            Type::BOOL => ValueRef::Integer((self.bytes != [0]).into()),
            Type::FLOAT8 => ValueRef::Real(f64::from_be_bytes(self.bytes.try_into()?)),
            Type::TEXT | Type::VARCHAR | Type::NAME | Type::UNKNOWN => ValueRef::Text(self.bytes),
            Type::BYTEA => ValueRef::Blob(self.bytes),
            of => return Err(format!("a {of} is read nowhere").into()),
        })
    }
}
