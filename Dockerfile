# syntax=docker/dockerfile:1
# The image holds one static binary and the CA certificates. The time zones are inside the binary.

FROM golang:1.26-alpine AS build
# Go asks git which commit it builds, for `syncer version`: a build without history must say so (--build-arg VCS=false).
ARG VCS=true
RUN apk add --no-cache ca-certificates git
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -buildvcs=${VCS} -trimpath -ldflags="-s -w" -o /out/syncer ./cmd/syncer

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/syncer /syncer
# A number, so that Kubernetes can see that it isn't root. Nothing is written to the image's file system.
USER 65532:65532
ENV SYNCER_CONFIG=/etc/syncer/syncer.yaml SYNCER_SERVER_LISTEN=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["/syncer", "health"]
ENTRYPOINT ["/syncer"]
CMD ["serve", "--log-format", "json"]
