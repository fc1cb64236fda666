"""All speed benchmarks; `make bench` runs this."""

from benchmarks.ssim import main

main()
