//! A key's bytes. Documents have many keys and most are short, so a short one stands in the path
//! itself: a second allocation per path would cost more than reading the document.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// The longest that takes no allocation: with it, a name is not larger than one that does.
const SHORT: usize = 22;

/// The bytes of a key.
#[derive(Clone)]
pub struct Name(Bytes);

#[derive(Clone)]
enum Bytes {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<[u8]>),
}

impl<T: AsRef<[u8]>> From<T> for Name {
    fn from(name: T) -> Self {
        let name = name.as_ref();
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(front), Ok(len)) => {
                front.copy_from_slice(name);
                Self(Bytes::Short { len, bytes })
            }
            _ => Self(Bytes::Long(name.into())),
        }
    }
}

impl Deref for Name {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Short { len, bytes } => &bytes[..usize::from(*len)],
            Bytes::Long(bytes) => bytes,
        }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_length_is_its_bytes() {
        assert_eq!(size_of::<Name>(), size_of::<(usize, Box<[u8]>)>());
        for len in [0, 1, SHORT, SHORT + 1, 255, 256, 1000] {
            let bytes = vec![0xff; len];
            assert_eq!(*Name::from(&bytes), bytes[..], "{len}");
            assert_ne!(Name::from(&bytes), Name::from([&bytes[..], b"\0"].concat()), "{len}");
        }
    }
}
