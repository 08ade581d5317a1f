//! XML, judged by lxml, which is libxml2.

use confseal::format::CodecId;

use super::judge::agrees;

const SAMPLE: &str = r####"<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE configuration SYSTEM "config.dtd">
<!-- <password>commented &amp; out</password> -->
<configuration xmlns:x='urn:example' x:mode="it's">
  <connectionStrings>
    <add name="Main" connectionString="Server=db;User=app;Password=a&quot;b&lt;c&#x41;&#10;;"/>
    <!-- <add name="Old" connectionString='Password=x-y'/> -->
  </connectionStrings>
  <x:secret a = 'two
lines	and a tab' b="">
    caf&#xe9; <![CDATA[<raw> & ]]]]><![CDATA[>]]> tail
  </x:secret>
  <empty></empty><blank>  </blank><none/>
  <mixed>before<b>in</b>after<?pi x?>last<!-- c -->very last</mixed>
  <property><value>hunter2</value><name>db.password</name></property>
  <json>{"a": "b", 'c': [1, 2]}</json>
  <plist><dict><key>token</key><string>abc</string><key>n</key><integer>1</integer></dict></plist>
</configuration>
<?after y?>
"####;

#[test]
fn lxml_sees_the_same_document() {
    let sample = SAMPLE.to_owned();
    let mut with_mark = sample.clone();
    with_mark.insert(0, '\u{feff}');
    let names = ["Main", "db.password", "token", "n"];
    for text in [sample.clone(), sample.replace('\n', "\r\n"), with_mark] {
        assert!(agrees("lxml", CodecId::Xml, &text, &names) > 15);
    }
}
