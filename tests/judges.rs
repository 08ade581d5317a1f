//! Independent judges: another program's parser reads the sealed file and the plaintext, and sees
//! one document, but that the sealed one holds tokens where the other holds values; and each value
//! is what confseal decodes.
//!
//! One module per format, with samples of its own. `judge.py` asks the parsers; `tests/run`
//! installs them.

#[path = "judges/hcl.rs"]
mod hcl;
#[path = "judges/ini.rs"]
mod ini;
#[path = "judges/json.rs"]
mod json;
#[path = "judges/judge.rs"]
mod judge;
#[path = "judges/lines.rs"]
mod lines;
#[path = "judges/services.rs"]
mod services;
#[path = "judges/toml.rs"]
mod toml;
#[path = "judges/xml.rs"]
mod xml;
#[path = "judges/yaml.rs"]
mod yaml;
