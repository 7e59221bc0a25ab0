# `make demo` shows certmill at work, `make test` tests all of it. Both install what is missing, with sudo when needed.

# Set, it would have the compiler check queries against that database, dependencies' included.
unexport DATABASE_URL

.PHONY: demo test build check screenshots bench-issuing bench-dns01 bench-planner bench-faults bench-surface bench-import simulate-year

# Its end-to-end tests end the program at named steps, hence the feature.
TESTED := --workspace --features certmill/checkpoints

demo:
	scripts/install-parts
	cargo build --package certmill --package certmill-lab
	target/debug/certmill-lab demo $(ARGS)

# Tests and programs are built together: one set of artefacts, and nothing is built twice.
test:
	scripts/install-parts --with-tests
	scripts/fetch-test-tools
	cargo build $(TESTED) --bins --tests --examples
	cargo test $(TESTED)

build:
	cargo build --release --package certmill

check:
	scripts/install-parts
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- --deny warnings
	scripts/check-edges
	scripts/prepare-queries --check

# A picture of every page in light and dark, wide and narrow, and of every mail, into docs/pictures.
screenshots:
	scripts/install-parts --with-tests
	scripts/fetch-test-tools
	cargo build --package certmill --package certmill-lab
	cargo run --package certmill-notify --example letters -- target/letters
	cargo run --package certmill-tests --example screenshots -- target/letters
	pngquant --force --ext .png --strip 48 docs/pictures/*.png

# ARGS="--domains 1000 --concurrency 32 --pairs 3"
bench-issuing:
	scripts/install-parts
	cargo build --release --package certmill --package certmill-lab --bins --package certmill-acme --example bare_loop
	target/release/certmill-lab bench-issuing $(ARGS)

# ARGS="--domains 200 --concurrency 32 --pairs 3"
bench-dns01:
	scripts/install-parts
	cargo build --release --package certmill --package certmill-lab --bins
	target/release/certmill-lab bench-dns01 $(ARGS)

# ARGS="--domains 100000"
bench-planner:
	scripts/install-parts
	cargo build --release --package certmill-lab --bins --package certmill-engine --example bench_planner
	target/release/certmill-lab bench-planner $(ARGS)

# ARGS="--domains 1000 --bad-nonces 5 --failures 2"
bench-faults:
	scripts/install-parts
	cargo build --release --package certmill --package certmill-lab --bins
	target/release/certmill-lab bench-faults $(ARGS)

# ARGS="--domains 100000 --tenants 50"
bench-surface:
	scripts/install-parts
	cargo build --release --package certmill-lab --bins --package certmill-store --example seed --package certmill-web --example bench_surface
	target/release/certmill-lab bench-surface $(ARGS)

bench-import:
	scripts/install-parts
	cargo build --release --package certmill-lab --bins --package certmill-store --example seed --example bench_import
	target/release/certmill-lab bench-import $(ARGS)

# A million names, 45 days, a year. ARGS="--outage worst+24h" or "--revoke 150:10" or "--import 150:300000"
simulate-year:
	cargo build --release --package certmill
	target/release/certmill simulate --domains 1000000 --days 365 --lifetime 45d --limits orders-per-3h=5000 $(ARGS)
