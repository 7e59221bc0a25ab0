//! What is found by what, in which order, and by whom.

use certmill_model::{
    DomainId, DomainStatus, Health, Hostname, Label, Metadata, ProblemCode, SearchText, Tags, TenantId,
};
use certmill_store::{
    CappedCount, DomainFilter, DomainPosition, DomainSort, DomainWish, Failure, Found, Reach, Without,
};
use time::Duration;

use crate::base::{Base, now, tenant};

impl Base {
    async fn put_labelled(&self, name: &str, external_id: &str, tags: &[&str]) {
        let mut tx = self.api.tenant(self.tenant).await.unwrap();
        let wish = DomainWish {
            external_id: Some(Label::parse(external_id).unwrap()),
            tags: Tags::parse(tags.iter().copied()).unwrap(),
            ..DomainWish::of(Hostname::parse(name).unwrap())
        };
        tx.put_domain(&wish, &self.chance, now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn find(&self, filter: DomainFilter) -> (Vec<String>, Found) {
        let mut tx = self.api.read(Reach::Tenant(self.tenant)).await.unwrap();
        let page = tx.search_domains(&filter, DomainSort::Name, None, 100).await.unwrap();
        (page.domains.iter().map(|domain| domain.name.to_string()).collect(), page.found)
    }

    async fn typed(&self, text: &str) -> (Vec<String>, Found) {
        self.find(DomainFilter { q: SearchText::parse(text), ..DomainFilter::default() }).await
    }

    /// Every domain that suits, read in pages of one.
    async fn walk(&self, filter: &DomainFilter, sort: DomainSort) -> Vec<String> {
        let (mut after, mut names) = (None, Vec::new());
        loop {
            let mut tx = self.api.read(Reach::Platform).await.unwrap();
            let page = tx.search_domains(filter, sort, after.as_ref(), 1).await.unwrap();
            names.extend(page.domains.iter().map(|domain| domain.name.to_string()));
            after = match page.next {
                Some(next) => Some(next.to_string().parse::<DomainPosition>().unwrap()),
                None => return names,
            };
        }
    }

    pub(crate) async fn other_tenant(&self) -> TenantId {
        let mut platform = self.api.platform().await.unwrap();
        let other = platform.put_tenant(&tenant("Suedwind", &self.chance), now()).await.unwrap();
        platform.commit().await.unwrap();
        other
    }

    async fn fail(&self, domain: DomainId) {
        let claimed = self.claim(domain).await.unwrap();
        self.engine.fail(&claimed.lease, &not_found(), &self.chance, now()).await.unwrap();
    }
}

fn not_found() -> Failure<'static> {
    Failure {
        code: ProblemCode::DnsNotFound,
        detail: "no address",
        order: None,
        status: DomainStatus::PendingDns,
        consecutive_failures: 1,
        next_attempt_at: Some(now() + Duration::days(1)),
        order_after: None,
        validation_failed: false,
        deferral: None,
        without: Without::default(),
        checks: &[],
        blamed: &[],
    }
}

#[tokio::test]
async fn names_that_begin_with_what_was_typed_come_before_those_that_have_it_in_them() {
    let base = Base::new().await;
    for name in ["a-shoes.example.com", "shoes.example.com", "shoeshop.example.com", "other.example.com"] {
        base.put(name).await;
    }
    let expected = ["shoes.example.com", "shoeshop.example.com", "a-shoes.example.com"];
    assert_eq!(base.typed("shoes").await, (expected.map(str::to_owned).to_vec(), Found::Suiting));
    assert_eq!(base.typed("sh").await.0.len(), 2, "two letters are looked for at the beginning alone");
    let filter = DomainFilter { q: SearchText::parse("shoes"), ..DomainFilter::default() };
    assert_eq!(base.walk(&filter, DomainSort::Name).await, expected);
}

#[tokio::test]
async fn a_shop_is_found_by_its_own_id_and_a_name_with_a_slip() {
    let base = Base::new().await;
    base.put_labelled("shoes.example.com", "Shop_48213", &[]).await;
    base.put_labelled("hats.example.com", "other", &[]).await;
    assert_eq!(base.typed("Shop_48").await.0, ["shoes.example.com"]);
    let (names, found) = base.typed("shoess.example.com").await;
    assert_eq!((names[0].as_str(), found), ("shoes.example.com", Found::Similar));
    let one = DomainFilter { external_id: Some("other".into()), ..DomainFilter::default() };
    assert_eq!(base.find(one).await.0, ["hats.example.com"]);
}

#[tokio::test]
async fn nobody_finds_another_tenants_names_by_any_way() {
    let base = Base::new().await;
    let other = base.other_tenant().await;
    base.put("ours.example.com").await;
    base.put_for(other, "theirs.example.com").await;
    for text in ["theirs", "th", "heir", "theirz.example.com"] {
        let (names, _) = base.typed(text).await;
        assert!(!names.contains(&"theirs.example.com".to_owned()), "{text}: {names:?}");
    }
    let theirs = DomainFilter { tenant: Some(other), ..DomainFilter::default() };
    assert_eq!(base.find(theirs).await.0, Vec::<String>::new());
    // The second wall: the function itself, asked for another's.
    let mut web = <sqlx::PgConnection as sqlx::Connection>::connect(&base.url).await.unwrap();
    let ask = format!(
        "BEGIN; SET LOCAL ROLE certmill_api; SELECT set_config('certmill.tenant_id', '{}', true);",
        base.tenant.uuid()
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(ask)).execute(&mut web).await.unwrap();
    for wanted in [format!("'{}'", other.uuid()), "NULL".into()] {
        for search in [
            format!("names_containing({wanted}, 'theirs', 9)"),
            format!("names_with_any({wanted}, '{{%theirs%}}', 'theirs', 9)"),
        ] {
            let ask = format!("SELECT count(*) FROM {search}");
            let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(ask)).fetch_one(&mut web).await.unwrap();
            assert_eq!(found, 0, "{search}");
        }
    }
}

#[tokio::test]
async fn filters_narrow_together() {
    let base = Base::new().await;
    base.put_labelled("a.example.com", "1", &["eu", "beta"]).await;
    base.put_labelled("b.example.com", "2", &["eu"]).await;
    base.put_labelled("c.example.org", "3", &["us"]).await;
    let of = |filter: DomainFilter| base.find(filter);
    let all = DomainFilter::default;
    assert_eq!(of(DomainFilter { tag: Some("eu".into()), ..all() }).await.0.len(), 2);
    let both = DomainFilter { tag: Some("eu".into()), name_prefix: Some("b".into()), ..all() };
    assert_eq!(of(both).await.0, ["b.example.com"]);
    assert_eq!(of(DomainFilter { name_suffix: Some(".org".into()), ..all() }).await.0, ["c.example.org"]);
    assert_eq!(of(DomainFilter { status: Some(DomainStatus::Active), ..all() }).await.0.len(), 0);
    let later = DomainFilter { updated_since: Some(now() + Duration::HOUR), ..all() };
    assert_eq!(of(later).await.0.len(), 0);
}

/// More than a list of ids holds: names are looked at one by one.
#[tokio::test]
async fn a_frequent_ending_or_middle_is_found_page_by_page_with_whatever_else_is_asked() {
    let base = Base::new().await;
    base.put("none.example.com").await;
    base.sql(
        "WITH template AS (SELECT * FROM domains LIMIT 1), added AS (
             INSERT INTO domains (domain_id, tenant_id, name, status, status_since, health, created_at, updated_at)
             SELECT gen_random_uuid(), tenant_id, format('a%s-shoes.example.org', lpad(n::text, 5, '0')), status, status_since,
                    CASE WHEN n % 100 = 0 THEN 'critical' ELSE health END, created_at, updated_at
             FROM template, generate_series(1, 1500) n RETURNING 1)
         SELECT count(*) FROM added",
    )
    .await;
    let ending = DomainFilter { name_suffix: Some(".org".into()), ..DomainFilter::default() };
    let middle = DomainFilter { q: SearchText::parse("shoes"), ..DomainFilter::default() };
    for filter in [ending, middle] {
        let (names, found) = base.find(filter.clone()).await;
        assert_eq!(
            (names.len(), names[0].as_str(), found),
            (100, "a00001-shoes.example.org", Found::Suiting)
        );
        let mut tx = base.api.read(Reach::Platform).await.unwrap();
        assert_eq!(tx.count_domains_capped(&filter).await.unwrap(), CappedCount::Exactly(1_500));
        let critical = DomainFilter { health: Some(Health::Critical), ..filter };
        let walked = base.walk(&critical, DomainSort::Name).await;
        assert_eq!((walked.len(), walked[1].as_str()), (15, "a00200-shoes.example.org"));
    }
}

#[tokio::test]
async fn what_ends_is_listed_soonest_first_and_by_its_ca() {
    let base = Base::new().await;
    for name in ["late.example.com", "soon.example.com"] {
        let domain = base.put(name).await;
        let claimed = base.claim(domain).await.unwrap();
        let order = base.start_order(&claimed).await.unwrap();
        base.issued(&claimed, order).await.unwrap();
    }
    base.put("none.example.com").await;
    base.sql("UPDATE certificates SET not_after = now() + interval '5 days' WHERE names[1] = 'soon.example.com' RETURNING 1::bigint").await;
    let all = DomainFilter::default();
    assert_eq!(base.walk(&all, DomainSort::NotAfter).await, ["soon.example.com", "late.example.com"]);
    assert_eq!(base.walk(&all, DomainSort::UpdatedAt).await.len(), 3);
    let soon = DomainFilter { expires_before: Some(now() + Duration::days(9)), ..all.clone() };
    assert_eq!(base.walk(&soon, DomainSort::Name).await, ["soon.example.com"]);
    let authority = |url: &str| DomainFilter { authority: Some(url.into()), ..all.clone() };
    assert_eq!(base.walk(&authority("https://ca.test/dir"), DomainSort::Name).await.len(), 2);
    assert_eq!(base.walk(&authority("https://other.test/dir"), DomainSort::Name).await.len(), 0);
}

#[tokio::test]
async fn what_is_wrong_is_found_by_its_problem_and_counted() {
    let base = Base::new().await;
    let bad = base.put("bad.example.com").await;
    base.put("good.example.com").await;
    base.fail(bad).await;
    let wrong = DomainFilter { problem: Some(ProblemCode::DnsNotFound), ..DomainFilter::default() };
    assert_eq!(base.find(wrong.clone()).await.0, ["bad.example.com"]);
    let mut tx = base.api.read(Reach::Tenant(base.tenant)).await.unwrap();
    assert_eq!(tx.count_domains_capped(&wrong).await.unwrap(), CappedCount::Exactly(1));
    assert_eq!(tx.count_domains_capped(&DomainFilter::default()).await.unwrap(), CappedCount::Exactly(2));
    let typed = DomainFilter { q: SearchText::parse("ood"), ..DomainFilter::default() };
    assert_eq!(tx.count_domains_capped(&typed).await.unwrap(), CappedCount::Exactly(1));
}

#[tokio::test]
async fn tags_and_data_come_back_and_are_replaced_as_a_whole() {
    let base = Base::new().await;
    let name = Hostname::parse("shop.example.com").unwrap();
    for (tags, plan) in [(vec!["b", "a"], Some("gold")), (vec!["c"], None)] {
        let wish = DomainWish {
            tags: Tags::parse(tags.iter().copied()).unwrap(),
            metadata: Metadata::parse(plan.map(|plan| ("plan", plan))).unwrap(),
            ..DomainWish::of(name.clone())
        };
        let mut tx = base.api.tenant(base.tenant).await.unwrap();
        tx.put_domain(&wish, &base.chance, now()).await.unwrap();
        let domain = tx.find_domain(&name).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        let mut tags = tags;
        tags.sort_unstable();
        assert_eq!(domain.tags, tags);
        assert_eq!(domain.metadata.get("plan").and_then(|plan| plan.as_str()), plan);
    }
}

#[tokio::test]
async fn a_name_is_searched_for_no_more_when_it_is_gone_and_again_when_it_is_back() {
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await;
    let mut tx = base.api.tenant(base.tenant).await.unwrap();
    tx.delete_domain(&Hostname::parse("shop.example.com").unwrap(), &base.chance, now()).await.unwrap();
    tx.commit().await.unwrap();
    let claimed = base.claim(domain).await.unwrap();
    base.engine.finish_deletion(&claimed.lease, &base.chance, now()).await.unwrap();
    assert_eq!(base.sql("SELECT count(*) FROM domain_names").await, 0);
    base.put("shop.example.com").await;
    assert_eq!(base.typed("hop").await.0, ["shop.example.com"]);
}
