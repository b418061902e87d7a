//! Help and refusals of the command line in the language of the run; their words stand in the text files.
//!
//! A command's text has the key `command.PATH` (`command.box-enrol`), an argument's `argument.PATH.NAME`
//! (`argument.box-enrol.code`) or, where many commands have it, `argument.NAME`. An argument of `box` that all below it
//! take stands under `box`.

use std::num::{ParseFloatError, ParseIntError};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use loaxa_heart::domain::ids::BadName;
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, Say, Sentence, Texts};
use loaxa_heart::wire::broker_address::BadBrokerAddress;
use loaxa_heart::wire::enrolment::BadCode;
use loaxa_heart::wire::signing::BadPublicKey;

use super::language::words;
use crate::commands::texts::TEXTS;

/// The command with its help in a language.
pub fn translate(mut command: Command, lang: Lang) -> Command {
    // What clap adds by itself is there only then.
    command.build();
    translated(command, "", TEXTS.of(lang), lang)
}

fn translated(command: Command, path: &str, texts: &'static Texts, lang: Lang) -> Command {
    let about = texts.code("command", if path.is_empty() { "loaxa" } else { path });
    let usage = texts.say("usage.usage");
    let template = format!("{{about-with-newline}}\n{usage} {{usage}}\n\n{{all-args}}");
    let command = command
        .about(about)
        .long_about(None)
        .help_template(template)
        .subcommand_help_heading(texts.say("usage.commands"))
        .mut_args(|arg| translated_argument(arg, path, texts, lang));
    command.mut_subcommands(|below| {
        let name = below.get_name();
        // Clap's own, with a copy of all others below it.
        if name == "help" {
            return below.about(texts.code("command", "help"));
        }
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}-{name}") };
        translated(below, &path, texts, lang)
    })
}

/// An argument by the name that is typed for it, else by its own.
fn name_of(arg: &Arg) -> &str {
    arg.get_long().unwrap_or_else(|| arg.get_id().as_str())
}

/// The keys under which an argument's text may stand, the narrowest first.
fn keys(arg: &Arg, path: &str) -> Vec<String> {
    let name = name_of(arg);
    let above = std::iter::successors(Some(path), |path| path.rsplit_once('-').map(|(above, _)| above));
    above
        .filter(|path| !path.is_empty())
        .map(|path| format!("{path}.{name}"))
        .chain([name.to_owned()])
        .collect()
}

fn translated_argument(arg: Arg, path: &str, texts: &'static Texts, lang: Lang) -> Arg {
    let text = keys(&arg, path).into_iter().find_map(|key| {
        let text = texts.code("argument", &key);
        (text != key).then_some(text)
    });
    let mut help = text.unwrap_or_default();
    let heading = if arg.is_positional() { "usage.arguments" } else { "usage.options" };
    let arg = arg.long_help(None).help_heading(texts.say(heading));
    if lang == Lang::En {
        return arg.help(help);
    }
    let takes_values = arg.get_action().takes_values();
    let default: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes_values && !default.is_empty() {
        help += &format!(" [{}: {}]", texts.say("usage.default"), default.join(", "));
    }
    let possible = arg.get_possible_values();
    let possible: Vec<_> = possible.iter().map(|value| value.get_name()).collect();
    if takes_values && !possible.is_empty() {
        help += &format!(" [{}: {}]", texts.say("usage.one_of"), possible.join(", "));
    }
    arg.help(help).hide_default_value(true).hide_possible_values(true)
}

/// Shows help, or says what is wrong with what was typed.
pub fn answer(error: &clap::Error, lang: Lang) -> ExitCode {
    let is_help = !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if is_help || lang == Lang::En {
        // Nobody reads any more where it fails.
        let _ = error.print();
    } else {
        eprintln!("loaxa: {}", words(refusal(error)));
        eprintln!("{}", words(said!("typed.see_help")));
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn refusal(error: &clap::Error) -> Sentence {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let (argument, value) = (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue));
    match error.kind() {
        ErrorKind::MissingRequiredArgument => said!("typed.missing", argument),
        ErrorKind::UnknownArgument => said!("typed.unknown_argument", argument),
        ErrorKind::InvalidSubcommand => {
            said!("typed.unknown_command", command = context(ContextKind::InvalidSubcommand))
        }
        ErrorKind::MissingSubcommand => {
            said!("typed.missing_command", commands = context(ContextKind::ValidSubcommand))
        }
        ErrorKind::InvalidValue if value.is_empty() => said!("typed.no_value", argument),
        ErrorKind::InvalidValue => {
            said!("typed.unknown_value", value, argument, values = context(ContextKind::ValidValue))
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(why_wrong);
            let why = why.unwrap_or_else(|| Sentence::from_outside(""));
            said!("typed.wrong_value", value, argument, why)
        }
        ErrorKind::ArgumentConflict => {
            said!("typed.conflict", argument, other = context(ContextKind::PriorArg))
        }
        ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues => said!("typed.too_few_values", argument),
        ErrorKind::TooManyValues => said!("typed.too_many_values", value, argument),
        ErrorKind::NoEquals => said!("typed.no_equals", argument),
        ErrorKind::InvalidUtf8 => said!("typed.no_utf8"),
        _ => said!("typed.other", detail = error.to_string()),
    }
}

/// Explains why a value was not taken, by the type of the error that its parser gave.
fn why_wrong(error: &(dyn std::error::Error + 'static)) -> Sentence {
    type Known = fn(&(dyn std::error::Error + 'static)) -> Option<Sentence>;
    let known: &[Known] = &[
        sentence_of::<Sentence>,
        sentence_of::<BadName>,
        sentence_of::<BadCode>,
        sentence_of::<BadPublicKey>,
        sentence_of::<BadBrokerAddress>,
        #[cfg(feature = "box")]
        sentence_of::<loaxa_sound::output::sink::BadSink>,
    ];
    if let Some(sentence) = known.iter().find_map(|sentence_of| sentence_of(error)) {
        return sentence;
    }
    if error.is::<ParseIntError>() || error.is::<ParseFloatError>() {
        return said!("typed.no_number");
    }
    if error.is::<chrono::ParseError>() {
        return said!("typed.no_date");
    }
    Sentence::from_outside(error.to_string())
}

fn sentence_of<E: Say + std::error::Error + 'static>(
    error: &(dyn std::error::Error + 'static),
) -> Option<Sentence> {
    error.downcast_ref::<E>().map(Say::say)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::commands::command_line;

    /// The keys of the texts that a command and all below it show, each argument by the narrowest key that has a text.
    fn shown(
        command: &Command,
        path: &str,
        lang: Lang,
        found: &mut BTreeSet<String>,
        lacking: &mut Vec<String>,
    ) {
        let texts = TEXTS.of(lang);
        let mut note = |section: &str, keys: Vec<String>| match keys
            .iter()
            .find(|key| texts.code(section, key) != **key)
        {
            Some(key) => drop(found.insert(format!("{section}.{key}"))),
            None => lacking.push(format!("{}: {section}.{}", lang.tag(), keys[0])),
        };
        note("command", vec![if path.is_empty() { "loaxa".to_owned() } else { path.to_owned() }]);
        command.get_arguments().for_each(|arg| note("argument", keys(arg, path)));
        for below in command.get_subcommands() {
            let name = below.get_name();
            if name == "help" {
                found.insert("command.help".to_owned());
                continue;
            }
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}-{name}") };
            shown(below, &path, lang, found, lacking);
        }
    }

    #[test]
    #[cfg(all(feature = "box", feature = "central"))]
    fn every_command_and_argument_has_a_text_in_both_languages_and_no_text_is_left_over() {
        for lang in Lang::ALL {
            let command = command_line(lang);
            let (mut found, mut lacking) = (BTreeSet::new(), Vec::new());
            shown(&command, "", lang, &mut found, &mut lacking);
            assert!(lacking.is_empty(), "without a text: {lacking:#?}");
            for section in ["command", "argument"] {
                let unused = TEXTS.of(lang).section(section).into_keys();
                let unused: Vec<_> =
                    unused.filter(|key| !found.contains(&format!("{section}.{key}"))).collect();
                assert!(unused.is_empty(), "{}: nothing shows {section}: {unused:#?}", lang.tag());
            }
        }
    }

    #[test]
    fn a_refusal_is_said_in_vietnamese() {
        let check = |line: &str, expected: &str| {
            let error =
                command_line(Lang::Vi).try_get_matches_from(line.split(' ')).expect_err("it is wrong");
            assert_eq!(refusal(&error).to(Lang::Vi), expected, "{line}");
        };
        check("loaxa status --jsn", "không có tham số '--jsn'");
        check("loaxa stattus", "không có lệnh 'stattus'");
        check("loaxa stop a b", "không có tham số 'b'");
        check("loaxa cap check", "còn thiếu <FILES>...");
        check(
            "loaxa draft sign Bao --key k",
            "'Bao' không dùng được cho <ID>: tên \"Bao\" chỉ được có a-z, 0-9, '-', '_' và '.', và bắt đầu bằng chữ cái hoặc chữ số",
        );
        check("loaxa simulate --seed x", "'x' không dùng được cho --seed <SEED>: đây không phải là số");
    }
}
