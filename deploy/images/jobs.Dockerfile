# Flink with the three jobs. Flink itself comes with the pinned Python package, so one lock pins Python's and Java's side:
# there is no second Flink in a base image that could differ from it. Build from the top of the repository:
#   docker build --platform linux/amd64 -f deploy/images/jobs.Dockerfile --build-arg DEBIAN_DIGEST=sha256:... -t tidegate/jobs:0.1.0 .
# The digest has no default: an image is built on what somebody has chosen, and looks the same next year.
ARG DEBIAN=12.12-slim
ARG DEBIAN_DIGEST
FROM --platform=linux/amd64 docker.io/library/debian:${DEBIAN}@${DEBIAN_DIGEST} AS build
COPY deploy/images/steps/system.sh /steps/
RUN /steps/system.sh build
COPY deploy/images/steps /steps
COPY pom.xml /source/
RUN /steps/jars.sh /source/pom.xml /jars
COPY locks /source/locks
RUN /steps/python.sh /opt/tidegate /source/locks/runtime.lock
COPY . /source
RUN /steps/application.sh /opt/tidegate /source \
 && /steps/flink.sh /opt/tidegate /opt/flink /jars

FROM --platform=linux/amd64 docker.io/library/debian:${DEBIAN}@${DEBIAN_DIGEST}
COPY deploy/images/steps/system.sh /steps/
RUN /steps/system.sh jobs && rm -r /steps
COPY --from=build /opt/tidegate /opt/tidegate
COPY --from=build --chown=9999:9999 /opt/flink /opt/flink
COPY deploy/images/entrypoint.sh /docker-entrypoint.sh
ENV FLINK_HOME=/opt/flink PATH=/opt/flink/bin:/opt/tidegate/venv/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1
USER 9999:9999
WORKDIR /opt/flink
ENTRYPOINT ["/docker-entrypoint.sh"]
