ARG image=busy
ARG suffix=box
FROM ${image}${suffix} AS base
ENV seen=$image
FROM ${nothing:-base}
ENV again=$suffix
