//! The differences between the two engines: every statement is written once, as SQLite reads it.
//!
//! [`for_postgres`] rewrites what PostgreSQL spells otherwise: `?2` and `?`, the parts of JSON, lists of values, and the hints
//! that only SQLite's planner needs. Functions that PostgreSQL lacks (`min` and `max` of two values, `instr`, `hex`, `date` of a
//! number, `json_each` of a text) are made with the schema.

/// Rewrites a statement for PostgreSQL.
pub fn for_postgres(sql: &str) -> String {
    let mut rest = sql;
    let mut out = String::with_capacity(sql.len() + 64);
    let mut marks = 0;
    while let Some(first) = rest.chars().next() {
        let step = match first {
            '\'' => text(rest),
            '?' => {
                let digits = rest[1..].chars().take_while(char::is_ascii_digit).count();
                marks += 1;
                let own = marks.to_string();
                out.push('$');
                out.push_str(if digits == 0 { &own } else { &rest[1..=digits] });
                rest = &rest[1 + digits..];
                continue;
            }
            '-' if rest.starts_with("->") => {
                rest = json_part(&mut out, rest);
                continue;
            }
            // A sign before a column keeps SQLite from its index.
            '+' if rest[1..].starts_with(|next: char| next.is_ascii_alphabetic()) => {
                rest = &rest[1..];
                continue;
            }
            'I' | 'N' if let Some(after) = in_list(&mut out, rest) => {
                rest = after;
                continue;
            }
            'C' if rest.starts_with("CROSS JOIN") => {
                out.push_str("JOIN");
                rest = &rest["CROSS JOIN".len()..];
                continue;
            }
            'I' if rest.starts_with("INDEXED BY ") => {
                let name = &rest["INDEXED BY ".len()..];
                rest =
                    name.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
                continue;
            }
            letter if is_word(letter) => rest.find(|letter| !is_word(letter)).unwrap_or(rest.len()),
            other => other.len_utf8(),
        };
        out.push_str(&rest[..step]);
        rest = &rest[step..];
    }
    out
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// The length of the quoted text at the beginning.
fn text(sql: &str) -> usize {
    sql[1..].find('\'').map_or(sql.len(), |end| end + 2)
}

/// The beginnings of questions whether a list has something, and of the same as PostgreSQL goes by an index for each member,
/// whatever it knows of the table: as a query, the list counts as a hundred rows, and the whole table is read.
const IN_LIST: [(&str, &str, &str); 3] = [
    ("IN (SELECT value FROM json_each(", "= ANY (ARRAY(SELECT json_array_elements_text(", ")"),
    ("NOT IN (SELECT value FROM json_each(", "<> ALL (ARRAY(SELECT json_array_elements_text(", ")"),
    (
        "IN (SELECT CAST(value AS BIGINT) FROM json_each(",
        "= ANY (ARRAY(SELECT CAST(json_array_elements_text(",
        ") AS BIGINT)",
    ),
];

/// Rewrites `IN (SELECT value FROM json_each(?1))`; returns what follows, where it is that.
fn in_list<'a>(out: &mut String, sql: &'a str) -> Option<&'a str> {
    let (begins, list, ends) = IN_LIST.into_iter().find(|(begins, ..)| sql.starts_with(begins))?;
    let (parameter, rest) = sql[begins.len()..].split_once("))")?;
    let parameter = parameter.strip_prefix('?')?;
    out.push_str(&format!("{list}CAST(CAST(${parameter} AS TEXT) AS JSON){ends}))"));
    Some(rest)
}

/// Rewrites `column ->> '$.a.b'`, whose column was written already; returns what follows.
fn json_part<'a>(out: &mut String, sql: &'a str) -> &'a str {
    let (function, rest) = match sql.strip_prefix("->>") {
        Some(rest) => ("json_word", rest),
        None => ("json_piece", &sql[2..]),
    };
    let path = rest.trim_start();
    let (path, rest) = path.split_at(text(path));
    let steps = path.trim_matches('\'').trim_start_matches("$.").replace('.', ",");
    let before = out.trim_end();
    let begin = before.rfind(|letter| !is_word(letter) && letter != '.').map_or(0, |at| at + 1);
    let column = before[begin..].to_owned();
    out.truncate(begin);
    out.push_str(&format!("{function}({column}, '{{{steps}}}') COLLATE \"C\""));
    rest
}

/// The words before what PostgreSQL reads in place of a line.
const OF_A_SERVER: &str = "-- server: ";

/// Rewrites the tables and indexes for PostgreSQL. Texts compare by their bytes, as they do in SQLite.
pub fn schema_for_postgres(schema: &str) -> String {
    let mut out = String::new();
    for line in schema.lines() {
        if let Some((_, own)) = line.split_once(OF_A_SERVER) {
            out.push_str(own);
            out.push('\n');
            continue;
        }
        let line = line.split("--").next().unwrap_or_default();
        if line.is_empty() {
            continue;
        }
        let line = line
            .replace(
                "INTEGER PRIMARY KEY AUTOINCREMENT",
                "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
            )
            .replace("INTEGER PRIMARY KEY", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY")
            .replace(") STRICT, WITHOUT ROWID;", ");")
            .replace(") STRICT;", ");");
        out.push_str(&types(&line));
        out.push('\n');
    }
    for_postgres(&out)
}

fn types(line: &str) -> String {
    let name = |word: &str| match word {
        "INTEGER" => "BIGINT",
        "BLOB" => "BYTEA",
        "REAL" => "DOUBLE PRECISION",
        "TEXT" => "TEXT COLLATE \"C\"",
        _ => "",
    };
    let mut out = String::new();
    for piece in line.split_inclusive(|letter| !is_word(letter)) {
        let word = piece.trim_end_matches(|letter| !is_word(letter));
        match name(word) {
            "" => out.push_str(piece),
            other => {
                out.push_str(other);
                out.push_str(&piece[word.len()..]);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: &str) {
        assert_eq!(for_postgres(sql), expected);
    }

    #[test]
    fn marks_are_numbered() {
        check("a = ?2 AND b = ?12", "a = $2 AND b = $12");
        check("a = ? AND b IN (?, ?)", "a = $1 AND b IN ($2, $3)");
        check("a = '?' AND b = ?", "a = '?' AND b = $1");
    }

    #[test]
    fn parts_of_json_are_asked_for_by_functions() {
        check("log.body ->> '$.key.slot' = ?1", "json_word(log.body, '{key,slot}') COLLATE \"C\" = $1");
        check("(body -> '$.a' IS NOT NULL)", "(json_piece(body, '{a}') COLLATE \"C\" IS NOT NULL)");
    }

    #[test]
    fn a_list_is_one_of_values() {
        check(
            "a IN (SELECT value FROM json_each(?1)) AND b = ?2",
            "a = ANY (ARRAY(SELECT json_array_elements_text(CAST(CAST($1 AS TEXT) AS JSON)))) AND b = $2",
        );
        check(
            "a NOT IN (SELECT value FROM json_each(?2))",
            "a <> ALL (ARRAY(SELECT json_array_elements_text(CAST(CAST($2 AS TEXT) AS JSON))))",
        );
        check(
            "a IN (SELECT CAST(value AS BIGINT) FROM json_each(?1))",
            "a = ANY (ARRAY(SELECT CAST(json_array_elements_text(CAST(CAST($1 AS TEXT) AS JSON)) AS BIGINT)))",
        );
        check("SELECT value FROM json_each(?1)", "SELECT value FROM json_each($1)");
    }

    #[test]
    fn hints_for_the_other_planner_go() {
        check("FROM a CROSS JOIN b ON x", "FROM a JOIN b ON x");
        check("FROM a INDEXED BY a_b WHERE +a.c = 1 + 2", "FROM a  WHERE a.c = 1 + 2");
    }

    #[test]
    fn tables_have_the_other_types() {
        let table = "CREATE TABLE IF NOT EXISTS a (\n    id INTEGER PRIMARY KEY, -- a number\n    b BLOB NOT NULL,\n    c TEXT\n) STRICT;";
        let expected = "CREATE TABLE IF NOT EXISTS a (\n    id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, \n    b BYTEA NOT NULL,\n    c TEXT COLLATE \"C\"\n);\n";
        assert_eq!(schema_for_postgres(table), expected);
    }

    #[test]
    fn a_line_may_be_another_on_a_server() {
        let table = "-- server: CREATE SEQUENCE s;\nCREATE TABLE a (\n    b INTEGER, -- server: b BIGINT DEFAULT nextval('s'),\n    c TEXT\n);";
        let expected = "CREATE SEQUENCE s;\nCREATE TABLE a (\nb BIGINT DEFAULT nextval('s'),\n    c TEXT COLLATE \"C\"\n);\n";
        assert_eq!(schema_for_postgres(table), expected);
    }
}
