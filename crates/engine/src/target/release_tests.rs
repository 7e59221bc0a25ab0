use certmill_model::Hostname;

use super::*;

/// A domain of `shard` that wants a template and is served with another, or with none yet.
fn domain(shard: u8, number: u8, wanted: &str, served: Option<&str>) -> DomainPlacement {
    DomainPlacement {
        domain_id: DomainId::from_uuid(uuid::Uuid::from_u128(u128::from(number) << 8 | u128::from(shard))),
        name: Hostname::parse(&format!("shop{number}.example.com")).unwrap(),
        wanted_template: TemplateRef::parse(wanted).unwrap(),
        served_template: served.map(|text| TemplateRef::parse(text).unwrap()),
        upstream: UpstreamAddress::parse("127.0.0.1:80").unwrap(),
    }
}

/// Built-in templates, but for one whose text is no template any more.
fn without(name: &str, form: Form) -> Templates {
    let error = Templates::built_in().with(name, form, "{% nonsense").unwrap_err();
    Templates::built_in().with_unreadable(name, form, "{% nonsense", &error)
}

fn rendered(
    templates: &Templates,
    live: Option<&ReleaseRecord>,
    domains: &[DomainPlacement],
    renewed: &[&DomainPlacement],
) -> Rendered {
    let batch = domains.iter().map(|domain| domain.domain_id).collect();
    let renewed = renewed.iter().map(|domain| domain.domain_id).collect();
    let shards: BTreeSet<_> = domains.iter().map(|domain| domain.domain_id.shard()).collect();
    let (layout, broken) = (Layout::usual(), Broken::default());
    let ground =
        Ground { templates, layout: &layout, batch: &batch, renewed: &renewed, live, broken: &broken };
    let mut rendered = render(&ground, None, &shards.into_iter().collect::<Vec<_>>(), domains);
    add_top(&ground, 2, &mut rendered);
    rendered
}

/// A release with these domains that is live.
fn live(domains: &[DomainPlacement]) -> ReleaseRecord {
    let rendered = rendered(&Templates::built_in(), None, domains, &[]);
    assert!(rendered.lost.is_none() && rendered.refused.is_empty());
    ReleaseRecord {
        number: 1,
        manifest: record_of(&rendered.manifest),
        rendered_from: String::new(),
        upstreams: rendered.upstreams,
    }
}

#[test]
fn a_text_that_cannot_be_read_any_more_stays_live_and_holds_up_no_other_template() {
    let old = domain(1, 1, "storefront", Some("storefront"));
    let live = live(std::slice::from_ref(&old));
    let (other, new) = (domain(1, 2, "redirect", None), domain(2, 3, "storefront", None));
    let domains = [old.clone(), other.clone(), new.clone()];
    let rendered = rendered(&without("storefront", Form::Shared), Some(&live), &domains, &[]);

    assert!(rendered.lost.is_none() && rendered.has_kept, "{:?}", rendered.lost);
    assert!(rendered.templates.contains_key(&old.domain_id));
    assert!(rendered.templates.contains_key(&other.domain_id));
    let path = "servers/storefront.conf";
    let manifest = record_of(&rendered.manifest);
    assert_eq!(manifest.get(path), live.manifest.get(path));
    assert!(manifest.contains_key(path) && !rendered.files.contains_key(path));
    let main = String::from_utf8(rendered.files["certmill.conf"].clone()).unwrap();
    assert!(main.contains(path), "{main}");
    // Nothing new begins with it, and the reason is told.
    let (code, words) = &rendered.refused[&new.domain_id];
    assert_eq!((*code, rendered.refused.len()), (ProblemCode::TemplateUnusable, 1));
    assert!(
        words.starts_with("the text of the template storefront:shared cannot be read: line 1"),
        "{words}"
    );
}

#[test]
fn a_block_that_cannot_be_rendered_any_more_keeps_its_shard_as_it_is_live_and_no_other() {
    let old = domain(1, 1, "storefront:dedicated", Some("storefront:dedicated"));
    let live = live(std::slice::from_ref(&old));
    let (beside, elsewhere) = (domain(1, 2, "redirect", None), domain(2, 3, "redirect", None));
    let domains = [old.clone(), beside.clone(), elsewhere.clone()];
    let templates = without("storefront", Form::Dedicated);
    let rendered = rendered(&templates, Some(&live), &domains, &[&old]);

    assert!(rendered.lost.is_none() && rendered.has_kept, "{:?}", rendered.lost);
    assert!(rendered.templates.contains_key(&elsewhere.domain_id));
    assert!(!rendered.templates.contains_key(&beside.domain_id));
    // The one beside waits; a certificate that was renewed is served by the block that is live.
    assert_eq!(rendered.refused.keys().collect::<Vec<_>>(), [&beside.domain_id]);
    let manifest = record_of(&rendered.manifest);
    let block = "blocks/storefront/01.conf";
    assert!(manifest.contains_key(block), "{manifest:?}");
    assert_eq!(manifest.get(block), live.manifest.get(block));
}

#[test]
fn what_was_never_live_is_not_made_up() {
    let old = domain(1, 1, "storefront", Some("storefront"));
    let rendered = rendered(&without("storefront", Form::Shared), None, &[old], &[]);
    assert!(rendered.lost.is_some());
}
