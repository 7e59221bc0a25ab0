//! What a template makes of domains, for the person who writes it.

use certmill_model::{Form, PreviewedDomain, TemplateDraft, TemplateMistake, TemplateRef, TemplateSample};

use crate::sandbox::SharedValues;
use crate::server_block::{TLS, certificate_lines, indent, listen_tls};
use crate::shard::{REDIRECT_VARIABLE, UPSTREAM_VARIABLE, upstream_name};
use crate::templates::file_name;
use crate::{DomainConfig, Layout, Templates};

impl Templates {
    /// What `draft` makes for each of its samples on a load balancer with the usual ports, with these templates beside it.
    pub fn preview(&self, draft: &TemplateDraft) -> Result<Vec<PreviewedDomain>, TemplateMistake> {
        let layout = Layout::usual();
        let TemplateDraft { name, form, source, samples } = draft;
        let whole = |what: String| TemplateMistake { line: 1, column: 1, what };
        let templates = self.with(name, *form, source).map_err(|error| error.mistake())?;
        let reference = format!("{name}:{}", form.as_str());
        let reference = TemplateRef::parse(&reference).map_err(|error| whole(error.to_string()))?;
        let shown = |sample: &TemplateSample| PreviewedDomain {
            name: sample.name.clone(),
            block: templates.block(&layout, &reference, *form, sample),
        };
        Ok(samples.iter().map(shown).collect())
    }

    fn block(
        &self,
        layout: &Layout,
        reference: &TemplateRef,
        form: Form,
        sample: &TemplateSample,
    ) -> Result<String, String> {
        let config = DomainConfig {
            domain: sample.domain_id,
            name: sample.name.clone(),
            template: reference.clone(),
            upstream: sample.upstream.clone(),
        };
        let shard = sample.domain_id.shard();
        let rendered = self.render_shard(layout, shard, std::slice::from_ref(&config));
        if let Some((_, reason)) = rendered.refused.first() {
            return Err(reason.to_string());
        }
        match form {
            Form::Shared => self.shared_block(layout, reference.name(), sample),
            Form::Dedicated => {
                let own = |(path, _): &(&String, &Vec<u8>)| path.starts_with("blocks/");
                let text = rendered.files.iter().find(own).map(|(_, text)| text.as_slice());
                Ok(String::from_utf8_lossy(text.unwrap_or_default()).into_owned())
            }
        }
    }

    /// The block that all domains of the template share, as it is for one of them: its name, and what the variables stand for.
    fn shared_block(&self, layout: &Layout, name: &str, sample: &TemplateSample) -> Result<String, String> {
        let values = SharedValues { template: name, https_port: layout.https_port() };
        let body = self.sandbox().render(&file_name(name, Form::Shared), values)?;
        let mut notes = format!("# {}\n", sample.domain_id);
        let redirect = sample.name.www_counterpart().map(|name| layout.authority(&name));
        let values = [
            (UPSTREAM_VARIABLE, Some(format!("{} ({})", upstream_name(&sample.upstream), sample.upstream))),
            (REDIRECT_VARIABLE, redirect),
        ];
        for (variable, value) in values {
            if let Some(value) = value.filter(|_| body.contains(variable)) {
                notes.push_str(&["# ", variable, " is ", &value, "\n"].concat());
            }
        }
        let listen = listen_tls(layout, "");
        let certificate = certificate_lines(layout, "$certmill_certificate");
        let (server_name, body) = (&sample.name, indent(&body));
        Ok(format!("{notes}server {{\n{listen}    server_name {server_name};\n{certificate}{TLS}{body}}}\n"))
    }
}

#[cfg(test)]
mod tests {
    use certmill_model::{Chance, DomainId, Hostname, UpstreamAddress};
    use time::OffsetDateTime;

    use super::*;

    fn shown(form: Form, source: &str, names: &[&str]) -> Result<Vec<PreviewedDomain>, TemplateMistake> {
        let chance = Chance::seeded(1);
        let sample = |name: &&str| TemplateSample {
            domain_id: DomainId::new(&chance, OffsetDateTime::UNIX_EPOCH),
            name: Hostname::parse(name).unwrap(),
            upstream: UpstreamAddress::parse("203.0.113.9:8080").unwrap(),
        };
        let samples = names.iter().map(sample).collect();
        let draft = TemplateDraft { name: "mine".into(), form, source: source.into(), samples };
        Templates::built_in().preview(&draft)
    }

    #[test]
    fn a_dedicated_template_shows_the_block_of_each_domain() {
        let source =
            "add_header X-Shop {{ name }};\nlocation / {\n    proxy_pass http://{{ upstream }};\n}\n";
        let shown = shown(Form::Dedicated, source, &["a.example", "b.example"]).unwrap();
        for one in shown {
            let block = one.block.unwrap();
            assert!(block.contains(&format!("    add_header X-Shop {};\n", one.name)), "{block}");
            assert!(block.contains(&format!("server_name {};", one.name)), "{block}");
        }
    }

    #[test]
    fn a_shared_template_shows_what_its_variables_stand_for() {
        let source = "location / {\n    proxy_pass http://$certmill_upstream;\n}\n";
        let shown = shown(Form::Shared, source, &["a.example"]).unwrap();
        let block = shown[0].block.as_ref().unwrap();
        assert!(block.contains("# $certmill_upstream is certmill_") && block.contains("(203.0.113.9:8080)"));
        assert!(!block.contains("$certmill_redirect is"), "{block}");
        assert!(
            block.contains("    location / {\n        proxy_pass http://$certmill_upstream;\n    }\n}\n")
        );
    }

    #[test]
    fn a_domain_that_the_template_cannot_serve_says_why() {
        let source = "return 301 https://$certmill_redirect$request_uri;\n";
        let shown = shown(Form::Shared, source, &["*.a.example", "a.example"]).unwrap();
        assert!(shown[0].block.as_ref().unwrap_err().contains("www."));
        assert!(shown[1].block.is_ok());
    }

    #[test]
    fn a_mistake_has_its_line_and_column() {
        let place = |source| shown(Form::Dedicated, source, &[]).map_err(|m| (m.line, m.column)).unwrap_err();
        assert_eq!(place("server_tokens off;\nset $a {{ nonsense }};\n"), (2, 8));
        assert_eq!(place("server_tokens off;\nset $a {{ name }}; root /etc;\n"), (2, 20));
        assert_eq!(place("server_tokens off;\n  return 204\n"), (2, 3));
        assert_eq!(place("server_tokens off;\n{% if name %}\n"), (2, 1));
    }
}
