# certmill, with what it runs: ssh and rsync. docker-compose.yml and docs/install.md show how to use it.
FROM rust:1-bookworm AS builder
# "dev" builds faster and runs slower.
ARG PROFILE=release
WORKDIR /src
COPY . .
RUN cargo build --locked --package certmill --profile "$PROFILE" --target-dir /target \
    && cp /target/*/certmill /usr/local/bin/certmill

FROM debian:bookworm-slim
# curl is for the health check.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl openssh-client rsync \
    && rm -rf /var/lib/apt/lists/*
# The number is fixed because volumes remember it. ssh wants a user with a name.
RUN useradd --uid 8402 --user-group --no-create-home --home-dir /var/lib/certmill --shell /usr/sbin/nologin certmill \
    && install -d -o certmill -g certmill -m 0700 /var/lib/certmill
COPY --from=builder /usr/local/bin/certmill /usr/local/bin/certmill
USER certmill
WORKDIR /var/lib/certmill
VOLUME /var/lib/certmill
EXPOSE 8402
ENTRYPOINT ["certmill"]
CMD ["all"]
