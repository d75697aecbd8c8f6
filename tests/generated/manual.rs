//! The man page gateway.toml(5).

use roff::{Inline, Roff, bold, italic, roman};
use schoolgate::config::keys::{Key, Kind, SECTIONS, Section};

use super::words::{self, Piece, pieces};

/// All keys, to be read in a terminal.
pub(crate) fn configuration() -> String {
    let mut page = Roff::new();
    let source = concat!("schoolgate ", env!("CARGO_PKG_VERSION"));
    page.control("TH", ["gateway.toml", "5", "", source, "File formats"]);
    // Nothing here may be broken by a hyphen that is not meant, or stretched.
    page.control("nh", []).control("ad", ["l"]);
    page.control("SH", ["NAME"]).text([roman("gateway.toml - the configuration of schoolgate")]);
    page.control("SH", ["SYNOPSIS"]).text([roman("/etc/schoolgate/gateway.toml")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text(inlines(
        "A file in TOML. `/usr/share/doc/schoolgate/examples/gateway.toml` is one to begin with. Another file is \
         named with `--config` or `$SCHOOLGATE_CONFIG`.",
    ));
    for text in [words::STRICT, words::CHANGES, words::EDITORS] {
        page.control("PP", []).text(inlines(text));
    }
    for (what, sentences) in words::VALUES {
        page.control("TP", []).text([bold(*what)]).text(inlines(sentences));
    }
    for section in SECTIONS {
        of_section(&mut page, section);
    }
    page.control("SH", ["FILES"]);
    for (path, what) in [
        ("/etc/schoolgate/gateway.toml", "The configuration."),
        ("/usr/share/schoolgate/gateway.schema.json", "Its JSON schema, for editors."),
        ("/usr/share/doc/schoolgate/", "What is called `docs/` on this page."),
    ] {
        page.control("TP", []).text([italic(path)]).text(inlines(what));
    }
    page.control("SH", ["SEE ALSO"]).text([bold("schoolgate"), roman("(1)")]);
    page.render()
}

fn of_section(page: &mut Roff, section: &Section) {
    page.control("SH", [section.header().as_str()]).text(inlines(section.doc));
    for key in section.keys {
        of_key(page, key);
    }
}

fn of_key(page: &mut Roff, key: &Key) {
    page.control("TP", []).text([bold(key.name), roman(" = "), roman(key.example)]);
    page.text(inlines(key.doc));
    page.control("RS", []);
    if let Kind::OneOf(values) = key.kind {
        for (value, meaning) in values {
            page.control("TP", []).text([bold(format!("\"{value}\""))]).text(inlines(&format!("{meaning}.")));
        }
    }
    page.control("PP", []).text(
        [roman("(")].into_iter().chain(inlines(&words::facts(key).join("; "))).chain([roman(")")]).collect::<Vec<_>>(),
    );
    page.control("RE", []);
}

/// Code is bold, and documents are named as they are installed.
fn inlines(text: &str) -> Vec<Inline> {
    let inline = |piece: Piece<'_>| match piece {
        Piece::Plain(plain) => roman(plain),
        Piece::Code(code) => bold(code),
        Piece::Document(name) => italic(format!("docs/{name}")),
    };
    pieces(text).into_iter().map(inline).collect()
}
