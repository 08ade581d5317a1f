//! A file sealed under another name than before, as which something else may read it.

use super::outgoing::Secrets;
use super::reopened::value_of;
use super::stock::Item;
use super::{Existing, Form, Sealed, Sealing, Stock, WholeBecause};
use crate::path::RelPath;
use crate::policy::Class;

impl Sealing {
    /// Seals `view`, which was sealed as `was` under another name, as the content of `file`.
    ///
    /// What reads it there may see other values, or none: a value that was sealed stays so, unless
    /// a rule for the new name says that it is public.
    pub fn seal_renamed(
        &self,
        file: &RelPath,
        view: &[u8],
        stocks: &[&Stock],
        existing: Existing,
        was: &Stock,
    ) -> Sealed {
        let sealed = self.seal(file, view, stocks, existing);
        match self.lays_open_what_was_sealed(file, &sealed, was) {
            true => self.seal_whole(file, view, stocks, WholeBecause::Renamed),
            false => sealed,
        }
    }

    /// Whether a value of `was` stands in the clear in `sealed`, though no rule says that it may.
    fn lays_open_what_was_sealed(&self, file: &RelPath, sealed: &Sealed, was: &Stock) -> bool {
        if sealed.form == Form::Whole || self.policy.classify(file).class == Class::Plain {
            return false;
        }
        let rules = self.policy.fields(file, &self.ledger);
        let items = was.items.iter();
        let valued = items.map(|item| (item, value_of(&item.inner).unwrap_or_default()));
        let may_lie_open =
            |item: &Item, value: &[u8]| rules.judge(&item.path, value).reason.is_public_rule();
        let kept: Vec<_> = valued.filter(|(item, value)| !may_lie_open(item, value)).collect();
        let mut secrets = Secrets::default();
        for (item, value) in &kept {
            secrets.add(value, &item.inner.bytes);
            // What goes on over several lines here may be several values there.
            for line in value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
                secrets.add(line, line);
            }
        }
        match secrets.search() {
            Ok(search) => search.is_some_and(|search| search.is_in(&sealed.stored)),
            Err(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::document::{Binding, Imports, sealer};
    use crate::keyring::{Key, Keyring};
    use crate::policy::Policy;

    fn sealing(policy: &str) -> Sealing {
        let key = Key::parse(format!("{:064x}", 257).as_bytes()).unwrap();
        Sealing {
            sealer: sealer(Keyring::new(key, vec![]).unwrap()),
            policy: Policy::parse(&format!("version = 1\n{policy}")).unwrap(),
            ledger: Arc::default(),
            imports: Imports::default(),
            binding: Binding::Field,
            keep_legacy_tokens: true,
        }
    }

    /// `view` as a new file of the name `from`, renamed to `to`.
    fn renamed(policy: &str, (from, to): (&str, &str), view: &str) -> Sealed {
        let sealing = sealing(policy);
        let [from, to] = [from, to].map(|name| RelPath::new(name).unwrap());
        let was = sealing.seal(&from, view.as_bytes(), &[], Existing::Nothing).stock;
        let stocks = [&was];
        sealing.seal_renamed(&to, view.as_bytes(), &stocks, Existing::Plain, &was)
    }

    const XML: &str = "<a><password>hunter22222</password></a>\n";

    #[test]
    fn a_value_that_is_none_under_the_new_name_sends_the_file_whole() {
        let sealed = renamed("", ("a.xml", "a.properties"), XML);
        assert_eq!((sealed.form, sealed.whole), (Form::Whole, Some(WholeBecause::Renamed)));
        let odoo = "[options]\nadmin_passwd = hunter22222\n  hunter33333\n";
        assert_eq!(renamed("", ("odoo.conf", "my.cnf"), odoo).form, Form::Whole);
    }

    #[test]
    fn a_rule_for_the_new_name_may_lay_it_open() {
        let public = "[[file]]\npath = \"b.toml\"\npublic = [\"password\"]\n";
        let view = "password = \"hunter22222\"\n";
        assert_eq!(renamed(public, ("a.toml", "b.toml"), view).form, Form::Plain);
        let none = "[[file]]\npath = \"b.txt\"\nseal = \"none\"\n";
        assert_eq!(renamed(none, ("a.toml", "b.txt"), view).form, Form::Plain);
    }
}
