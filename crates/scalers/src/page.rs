//! The reference page of a trigger, Markdown: what it is, its parameters, an example.
//!
//! Introduction and example are the trigger's own files (`docs.md`, `sample.yaml`), the tables are its declaration. The
//! example is the manifest that the trigger's tests parse.

use std::fmt::Write;

use keda_scaler::Factory;
use keda_scaler::config::{Deprecation, Origin, Parameter, Shape};

/// Renders the page of one trigger.
pub fn render(factory: &Factory, introduction: &str, sample: &str) -> String {
    let mut page = String::new();
    let kind = factory.trigger_type();
    line(&mut page, &format!("# {kind}"));
    line(&mut page, introduction.trim());
    line(&mut page, "## Parameters");
    line(
        &mut page,
        "Sources are tried in the order given: *metadata* is the trigger's `metadata`, *authentication* the object in its \
         `authenticationRef`, *environment* a variable of the target's container, named by `<parameter>FromEnv` in the \
         metadata. Every value is a text.",
    );
    let (current, retired): (Vec<&Parameter>, Vec<&Parameter>) =
        factory.parameters().iter().partition(|parameter| parameter.deprecation.is_none());
    let mut table = String::from("| Parameter | Value | Default | Source | |\n|---|---|---|---|---|\n");
    for parameter in &current {
        table.push_str(&row(parameter));
    }
    line(&mut page, table.trim_end());
    if !retired.is_empty() {
        line(&mut page, "## Parameters on their way out");
        let mut table = String::from("| Parameter | What happens | What to do |\n|---|---|---|\n");
        for parameter in &retired {
            table.push_str(&retired_row(parameter));
        }
        line(&mut page, table.trim_end());
    }
    line(&mut page, "## Example");
    line(&mut page, &format!("```yaml\n{}\n```", sample.trim()));
    line(&mut page, "`keda lint` checks such a file without a cluster.");
    format!("{}\n", page.trim_end())
}

/// Renders the list of all pages, each with its [`summary`](fn@summary).
pub fn index(factories: &[Factory], mut summary: impl FnMut(&Factory) -> String) -> String {
    let mut page = String::from("# Triggers\n\n");
    line(
        &mut page,
        "One page a trigger type, made from the declaration that parses it. `keda schema` prints the same for tools, \
         `keda schema --crds` for editors.",
    );
    let mut table = String::from("| Type | |\n|---|---|\n");
    for factory in factories {
        let kind = factory.trigger_type();
        let _infallible = writeln!(table, "| [`{kind}`]({kind}.md) | {} |", summary(factory));
    }
    line(&mut page, table.trim_end());
    format!("{}\n", page.trim_end())
}

/// What a trigger does, in the words after the colon of its introduction's first sentence.
pub fn summary(introduction: &str) -> String {
    let paragraph = introduction.trim().split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let told = paragraph.split_once(": ").map_or(paragraph.as_str(), |(_, told)| told);
    let sentence = told.split_once(". ").map_or(told, |(sentence, _)| sentence);
    sentence.trim_end_matches('.').to_owned()
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push_str("\n\n");
}

fn row(parameter: &Parameter) -> String {
    format!(
        "| {} | {} | {} | {} | {} |\n",
        names(parameter),
        cell(&value(parameter)),
        default(parameter),
        sources(parameter),
        cell(parameter.doc)
    )
}

fn retired_row(parameter: &Parameter) -> String {
    let (what, why) = match parameter.deprecation {
        Some(Deprecation::Removed(why)) => ("an error", why),
        Some(Deprecation::Announced(why)) => ("an event says so", why),
        None => ("", ""),
    };
    format!("| {} | {what} | {} |\n", names(parameter), cell(why))
}

fn names(parameter: &Parameter) -> String {
    let mut text = format!("`{}`", parameter.name());
    if !parameter.aliases().is_empty() {
        let aliases: Vec<String> = parameter.aliases().iter().map(|alias| format!("`{alias}`")).collect();
        let _infallible = write!(text, ", also {}", aliases.join(", "));
    }
    text
}

fn default(parameter: &Parameter) -> String {
    match parameter.default {
        Some(default) => format!("`{default}`"),
        None if parameter.required() => "**required**".to_owned(),
        None => String::new(),
    }
}

fn sources(parameter: &Parameter) -> String {
    let words = parameter.from.iter().map(|origin| match origin {
        Origin::Metadata => "metadata",
        Origin::Auth => "authentication",
        Origin::Env | Origin::Variable => "environment",
    });
    words.collect::<Vec<_>>().join(", ")
}

/// The shape in words, with what is allowed.
fn value(parameter: &Parameter) -> String {
    let mut text = shape(&parameter.shape, parameter.separator);
    if let Some(range) = parameter.range {
        let _infallible = write!(text, "; `start{range}end` is a range");
    }
    if !parameter.one_of.is_empty() {
        let _infallible = write!(text, ": {}", words(parameter.one_of));
    }
    if !parameter.exclusive.is_empty() {
        let _infallible = write!(text, "; only one of {}", words(parameter.exclusive));
    }
    text
}

fn shape(shape: &Shape, separator: &str) -> String {
    match shape {
        Shape::Text => "text".to_owned(),
        Shape::Secret => "text, never shown".to_owned(),
        Shape::Boolean => "`true` or `false`".to_owned(),
        Shape::Integer => "whole number".to_owned(),
        Shape::Number => "number".to_owned(),
        Shape::Duration => "duration (`30s`, `1m30s`), or milliseconds".to_owned(),
        Shape::Word => "one word".to_owned(),
        Shape::List(of) => match of {
            Shape::Word => format!("words, separated by `{separator}`"),
            Shape::Integer => format!("whole numbers, separated by `{separator}`"),
            _ => format!("list, separated by `{separator}`"),
        },
        Shape::Map(_) => format!("`key=value` pairs, separated by `{separator}`"),
        Shape::UrlValues => "query string".to_owned(),
        Shape::Retired => "not read".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn words(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Text that stays within its cell.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_what_the_first_sentence_tells() {
        for (introduction, told) in [
            ("The `x` trigger: scale on y.\n\nMore: of it.", "scale on y"),
            ("The `x` trigger: scale on\ny. And more.", "scale on y"),
            ("Scales on y.", "Scales on y"),
        ] {
            assert_eq!(summary(introduction), told);
        }
    }

    #[test]
    fn a_page_names_every_parameter_and_every_alias() {
        for factory in crate::factories() {
            let page = render(&factory, "The trigger.", "kind: ScaledObject");
            for name in factory.parameters().iter().flat_map(|parameter| parameter.names) {
                assert!(page.contains(&format!("`{name}`")), "{name} in {page}");
            }
            assert!(page.contains("kind: ScaledObject"));
            assert!(page.ends_with("\n") && !page.ends_with("\n\n"));
        }
    }
}
