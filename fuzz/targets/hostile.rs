//! A sealed value of someone's choosing, put into any place of any text: it opens in that place
//! alone, or not at all.
//!
//! The input is a document and, at its end, a value and four bytes that say how long that is, which
//! codec and context it comes from, how it is sealed, and where it goes.

#![no_main]

#[path = "common.rs"]
mod common;

use common::{CODEC, FILE, SEALING};
use confseal::document::Binding;
use confseal::format::{Codec, CodecId, Context, Site};
use confseal::secret::SecretBytes;
use confseal::span::{Edit, splice};
use confseal::token::{Inner, Kind, Place, Purpose};
use libfuzzer_sys::fuzz_target;

const LONGEST: usize = 32;

/// What was sealed, and how it stands.
struct Hostile {
    source: Vec<u8>,
    /// The value that the place must have, if it opens; `None` where the source is taken as it is.
    value: Option<SecretBytes>,
}

fuzz_target!(|input: &[u8]| {
    let Some((rest, [len, from, how, place])) = input.split_last_chunk() else { return };
    let len = rest.len().min(usize::from(*len) % LONGEST);
    let (text, value) = rest.split_at(rest.len() - len);
    let codec = CODEC.codec();
    // What holds tokens of its own is another target's.
    let Ok(sites) = codec.scan(text) else { return };
    if sites.is_empty() || memchr::memmem::find(text, b"ENC:").is_some() {
        return;
    }
    let at = usize::from(*place) % sites.len();
    let site = &sites[at];
    let Some(hostile) = hostile(codec, site, value, *from, *how) else { return };
    let edit = Edit { span: site.span, text: hostile.source };
    let (stored, _) = splice(text, &[edit]);
    let Ok(opened) = SEALING.open(&FILE, &stored) else { return };
    if opened.stock.is_empty() {
        return;
    }
    let seen = codec.scan(&opened.view).expect("an opened view can be read");
    assert_eq!(seen.len(), sites.len(), "values have come or gone");
    for (n, (before, after)) in sites.iter().zip(&seen).enumerate() {
        assert_eq!(before.context, after.context);
        let decoded = codec.decode(after.span.of(&opened.view), after.context);
        if n == at {
            let wanted = hostile.value.as_ref().or(decoded.as_ref());
            assert_eq!(decoded.as_ref(), wanted, "another value than was sealed");
            assert!(decoded.is_some(), "more or less than a value");
        } else {
            assert_eq!(before.span.of(text), after.span.of(&opened.view), "a neighbour changed");
            assert!(site.naming || before.path == after.path, "a neighbour moved");
        }
    }
});

/// `value`, sealed for `site` in one of the ways there are; `None` where it does not fit there.
fn hostile(codec: &dyn Codec, site: &Site, value: &[u8], from: u8, how: u8) -> Option<Hostile> {
    let bytes = SecretBytes::from(value);
    let sealed = |purpose, inner: &Inner| {
        let path = site.path.to_aad();
        let place = Place { purpose, file: FILE.as_bytes(), path: &path };
        SEALING.sealer.seal(&place, inner, Binding::Field, 16).to_string()
    };
    let source = |id: CodecId, context: Context| Inner {
        kind: Kind::Source,
        codec: id as u8,
        context: context.0,
        column: site.column,
        bytes: bytes.clone(),
    };
    let field = |inner: &Inner, value| Hostile {
        source: codec.token(&sealed(Purpose::Field, inner), site.context).into_bytes(),
        value,
    };
    Some(match how % 4 {
        // A value by hand.
        0 => field(&Inner { kind: Kind::Value, ..source(*CODEC, site.context) }, Some(bytes)),
        // The source of a value that stood in such a place.
        1 => field(&source(*CODEC, site.context), None),
        // That of one that stood elsewhere.
        2 => {
            let id = CodecId::ALL[usize::from(from) % CodecId::ALL.len()];
            let context = Context(from / CodecId::ALL.len() as u8);
            let is_native = id == *CODEC && context == site.context;
            let value = id.codec().decode(value, context)?;
            field(&source(id, context), Some(value).filter(|_| !is_native))
        }
        // A part of a value.
        _ => {
            let token = sealed(Purpose::Part, &source(*CODEC, site.context));
            let around = |part: &[u8]| [b"in:", part, b"@front"].concat();
            let source = codec.encode(&around(token.as_bytes()), site.context, site.column)?;
            Hostile { source: source.to_vec(), value: Some(around(value).into()) }
        }
    })
}
