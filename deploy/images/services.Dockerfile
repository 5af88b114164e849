# Everything but Flink: gate sidecar, history writer, API, data quality, topics, and the C example. Its lock is the part of the
# jobs' lock that these processes need, at the same versions. Build from the top of the repository:
#   docker build --platform linux/amd64 -f deploy/images/services.Dockerfile --build-arg DEBIAN_DIGEST=sha256:... -t tidegate/services:0.1.0 .
ARG DEBIAN=12.12-slim
ARG DEBIAN_DIGEST
FROM --platform=linux/amd64 docker.io/library/debian:${DEBIAN}@${DEBIAN_DIGEST} AS build
COPY deploy/images/steps/system.sh /steps/
RUN /steps/system.sh build
COPY deploy/images/steps /steps
COPY locks /source/locks
RUN /steps/python.sh /opt/tidegate /source/locks/services.lock
COPY . /source
RUN /steps/application.sh /opt/tidegate /source

FROM --platform=linux/amd64 docker.io/library/debian:${DEBIAN}@${DEBIAN_DIGEST}
COPY deploy/images/steps/system.sh /steps/
RUN /steps/system.sh services && rm -r /steps
COPY --from=build /opt/tidegate /opt/tidegate
ENV PATH=/opt/tidegate/venv/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1
USER 9999:9999
WORKDIR /opt/tidegate
