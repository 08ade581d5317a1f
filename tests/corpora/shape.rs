//! The promise of every codec, as a check: tokens put in place of values change nothing else.

use confseal::format::{Codec, Site};
use confseal::span::{Edit, Span, splice};

/// A sealed token, for the codecs' purposes.
pub const TOKEN: &str = "ENC:v1:0011aabb:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIj-_";

/// The token as it stands in the place of `site`.
pub fn token(codec: &dyn Codec, site: &Site) -> Vec<u8> {
    codec.token(TOKEN, site.context).into_bytes()
}

/// Scans `text` and checks that replacing the sites that `chosen` picks by tokens keeps its
/// shape. A text that does not scan is `Ok(None)`, else the number of sites replaced.
pub fn check_seals(
    codec: &dyn Codec,
    text: &[u8],
    chosen: impl Fn(usize, &Site) -> bool,
) -> Result<Option<usize>, String> {
    let Ok(sites) = codec.scan(text) else { return Ok(None) };
    check_replacing(codec, text, &sites, |n, site| chosen(n, site).then(|| token(codec, site)))
        .map(Some)
}

/// Replaces each of the `sites` of `text` that `spelling` gives a text for, and checks that the
/// new text has the same sites, moved by exactly as much as what stands in front has grown, and
/// that putting the old sources back gives `text`. Returns the number of sites replaced.
pub fn check_replacing(
    codec: &dyn Codec,
    text: &[u8],
    sites: &[Site],
    spelling: impl Fn(usize, &Site) -> Option<Vec<u8>>,
) -> Result<usize, String> {
    check_sites(codec, text, sites)?;
    let spellings: Vec<_> = sites.iter().enumerate().map(|(n, site)| spelling(n, site)).collect();
    let chosen: Vec<bool> = spellings.iter().map(Option::is_some).collect();
    let picked = || sites.iter().zip(&chosen).filter(|(_, chosen)| **chosen).map(|(site, _)| site);
    let edits: Vec<_> = picked()
        .zip(spellings.into_iter().flatten())
        .map(|(site, text)| Edit { span: site.span, text })
        .collect();
    let (sealed, places) = splice(text, &edits);

    let after = codec.scan(&sealed).map_err(|error| format!("the sealed text: {error}"))?;
    if after.len() != sites.len() {
        return Err(format!("{} sites became {}", sites.len(), after.len()));
    }
    // Sealing a name takes it out of the paths of what it names, and that is allowed.
    let unnamed = picked().any(|site| site.naming);
    let mut places_left = places.iter();
    let (mut grown, mut cut) = (0, 0);
    for ((before, after), chosen) in sites.iter().zip(&after).zip(&chosen) {
        let wanted = if *chosen {
            let place = *places_left.next().ok_or("a token without a place")?;
            grown += place.len();
            cut += before.span.len();
            place
        } else {
            Span::new(before.span.start + grown - cut, before.span.end + grown - cut)
        };
        let (path, found) = (&before.path, after.span);
        if found != wanted {
            return Err(format!("{path}: found at {found:?}, wanted at {wanted:?}"));
        }
        if before.context != after.context {
            return Err(format!("{path}: {:?} became {:?}", before.context, after.context));
        }
        if !unnamed && (path != &after.path || before.naming != after.naming) {
            return Err(format!("{path} became {}", after.path));
        }
    }

    let undo: Vec<_> = picked()
        .zip(&places)
        .map(|(site, place)| Edit { span: *place, text: site.span.of(text) })
        .collect();
    if splice(&sealed, &undo).0 != text {
        return Err("the restored text differs".into());
    }
    Ok(edits.len())
}

/// Spans are in order, and each is that of exactly one scalar.
fn check_sites(codec: &dyn Codec, text: &[u8], sites: &[Site]) -> Result<(), String> {
    let mut end = 0;
    for site in sites {
        let (path, span) = (&site.path, site.span);
        if span.start < end || span.end < span.start || span.end > text.len() {
            return Err(format!("{path}: {span:?} is out of order"));
        }
        if codec.decode(span.of(text), site.context).is_none() {
            return Err(format!("{path}: {span:?} is not one scalar"));
        }
        end = span.end;
    }
    Ok(())
}
