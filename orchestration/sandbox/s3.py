"""The two S3 endpoints on which the buckets behind the archives list themselves, addressed by path."""

from . import bybit, gate, vision
from .bucket import Bucket, error
from .market import Market
from .wire import Reply, Request

TOKYO, SINGAPORE = HOSTS = ("s3-ap-northeast-1.amazonaws.com", "s3.ap-southeast-1.amazonaws.com")


class S3:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.buckets: dict[str, dict[str, Bucket]] = {TOKYO: {}, SINGAPORE: {}}
        for host, exchange, make in (
            (TOKYO, "binance", vision.bucket),
            (TOKYO, "gate", gate.bucket),
            (SINGAPORE, "bybit", bybit.bucket),
        ):
            if exchange in market.exchanges():
                bucket = make(market)
                self.buckets[host][bucket.name] = bucket

    def __call__(self, request: Request) -> Reply:
        name, _, key = request.path[1:].partition("/")
        bucket = self.buckets[request.host].get(name)
        if bucket is None:
            return error(404, "NoSuchBucket", "The specified bucket does not exist", f"<BucketName>{name}</BucketName>")
        return bucket.get(key) if key else bucket.list(request)
