"""Whether an instruction asks for the very thing a guard punishes: then the judge decides, not the guard.

By words, English and Chinese. A word too many costs a guard its say in one edit; a word too few a reward.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """What an instruction asks for, as far as guards must know."""

    nothing: bool = False
    """The picture as it is."""
    fine: bool = False
    """Tone, sharpness, grain: what changes everything a little."""
    movement: bool = False
    """Of the picture in its frame: a crop, zoom, turn."""
    frame: bool = False
    """A frame, bars, margins."""
    shape: bool = False
    """Another shape or size of the picture."""
    plain: bool = False
    """A picture of one colour."""
    understood: bool = True
    """Whether it is in a language whose words are known here."""


def _words(listed: str) -> re.Pattern[str]:
    """Patterns between semicolons: Latin ones as whole words and in any case, Chinese ones anywhere."""
    words = [" ".join(word.split()) for word in listed.split(";")]
    latin = [word for word in words if word.isascii()]
    others = [word for word in words if not word.isascii()]
    return re.compile(rf"\b(?:{'|'.join(latin)})\b|{'|'.join(others)}", re.IGNORECASE)


_NOTHING = re.compile(
    r"^\W*(?:please\s+)?(?:(?:keep|leave|return|reproduce|copy|output|reconstruct)\b[^,;.]*"
    r"\b(?:unchanged|as (?:it )?is|as-is|identical|untouched|unmodified|the same)"
    r"|(?:reproduce|copy|reconstruct) (?:the |this )?(?:image|picture|photo\w*)"
    r"|(?:do not|don'?t) (?:change|edit|modify|alter) (?:anything|the (?:image|picture|photo\w*))"
    r"|(?:make )?no (?:change|edit|modification)s?(?: at all)?|do nothing)\W*$"
    r"|^\W*请?(?:保持(?:图片|图像|画面|照片|原图)?(?:不变|原样)|不(?:要)?做?任何(?:修改|改动|编辑)|什么都不(?:要)?改)\W*$",
    re.IGNORECASE,
)
_FINE = _words(
    r"""
    slight(?:ly)?; subtl[ey]; a bit; a little; a touch; faint(?:ly)?; gentl[ey]; softly; bright\w*;
    dark\w*; lighten\w*; dim(?:mer|med)?; contrast\w*; expos\w+; saturat\w+; desaturat\w+; vibran\w+;
    vivid\w*; warm\w*; cool(?:er)?; colder; temperature; tint\w*; tones?; toning; hue; gamma; shadows?;
    highlights?; colou?r[- ]?(?:grad\w+|correct\w+|balance); white balance; grad(?:e|ing); levels?;
    curves?; grain\w*; nois[ey]\w*; denois\w+; sharp\w*; blur\w*; deblur\w*; clarity; clear(?:er)?;
    crisp\w*; enhanc\w+; improv\w+; resolution; upscal\w+; super-?res\w*; restor\w+; compress\w*;
    artifacts?; artefacts?; retouch\w*; smooth\w*; wrinkles?; blemish\w*; spots?; scratch\w*; dust;
    haz[ey]\w*; dehaz\w+; fog\w*; mist\w*; vignett\w+; matte; moire; watermark\w*; hdr; 4k; 8k;
    gr[ae]yscale; monochrom\w+; black and white; black-and-white; sepia;
    稍; 略; 轻微; 一点; 微调; 亮; 暗; 对比; 曝光; 饱和; 色温; 色调; 色彩;
    调色; 暖; 冷; 颗粒; 噪; 锐; 清晰; 模糊; 画质; 增强; 分辨率; 超分; 修复;
    压缩; 磨皮; 去雾; 雾; 水印; 黑白; 灰度; 质感; 高光; 阴影; 肤色
    """
)
_MOVEMENT = _words(
    r"""
    straighten\w*; level(?:led|ing)?; rotat\w+; tilt\w*; turn(?:ed|ing)? (?:it |the \w+
    )?(?:by|left|right|upside); zoom\w*; crop\w*; shift\w*; mov(?:e|ed|ing) (?:the
    )?(?:camera|view\w*|frame|picture|image|photo); pan(?:ned|ning)?; re-?fram\w+; align\w*;
    perspective; distort\w+; lens; skew\w*; flip\w*; mirror\w*; re-?cent(?:er|re)\w*;
    cent(?:er|re)(?:ed)?; camera; angle; viewpoint; closer; further; farther; wid(?:e|er|en\w*);
    degrees?;
    旋转; 倾斜; 拉直; 水平; 缩放; 放大; 缩小; 裁; 平移; 镜头; 视角; 透视; 畸变;
    翻转; 镜像; 居中; 对齐; 拉近; 拉远
    """
)
_FRAME = _words(
    r"""
    rotat\w+; straighten\w*; tilt\w*; fram(?:e|es|ed|ing); border\w*; polaroid\w*; letter-?box\w*;
    pillar-?box\w*; bars?; bands?; strips?; stripes?; margins?; padd\w+; mats?; mount; passe-?partout;
    cinema\w*; widescreen; cinematic; film; postcard\w*; (?:trading |playing |greeting )?cards?;
    stamps?; posters?; covers?; magazine\w*; stickers?; screenshots?; screens?; collages?; grid;
    panels?; comics?; slides?; captions?; banners?; memes?; subtitles?; titles?; headers?; footers?;
    labels?; canvas; blank space; white space; whitespace; extend\w*; expand\w*; outpaint\w*; uncrop\w*;
    outline\w*; infographic\w*; sheets?; pages?; documents?; blueprint\w*; storyboards?; split\w*; side
    by side;
    框; 边; 拍立得; 黑条; 白条; 留白; 画布; 电影; 宽银幕; 海报; 封面; 卡;
    明信片; 邮票; 贴纸; 拼图; 拼贴; 漫画; 字幕; 标题; 扩; 宫格; 分镜; 截图; 幻灯
    """
)
_SHAPE = _words(
    r"""
    extend\w*; expand\w*; outpaint\w*; uncrop\w*; crop\w*; wid(?:e|er|en\w*); taller; narrow\w*;
    (?:make|crop|cut|pad) (?:it|this|the \w+) (?:to |into )?(?:a )?square; square
    (?:format|crop|canvas|image|picture|photo|aspect|version); aspect\w*; ratio\w*; portrait\w*;
    landscape\w*; panoram\w+; rotat\w+; resiz\w+; dimension\w*; size\w*; scal(?:e|ed|ing); zoom\w*;
    banners?; wallpapers?; vertical\w*; horizontal\w*; clockwise; degrees?; canvas; stretch\w*;
    squash\w*; squeez\w+; letter-?box\w*; polaroid\w*; pixels?; px; cinema\w*; widescreen;
    fram(?:e|es|ed|ing); border\w*; padd\w+; margins?; cut(?:ting)? off; trim\w*; thumbnails?; icon;
    posters?; covers?; cards?; screens?; collages?; grid; camera; sheets?; side by side; split\w*;
    \d+\s*[:x×]\s*\d+; 扩; 裁; 剪; 旋转; 正方形; 方形; 横; 竖; 比例;
    尺寸; 缩; 拉远; 全景; 画布; 壁纸; 拍立得; 边框; 相框; 像素; 宽; 分辨率; 拼;
    宫格; 头像
    """
)
_PLAIN = _words(
    r"""
    solid; plain; blank; empty; pure; uniform\w*; single[- ]colou?r\w*; one colou?r;
    (?:all|everything|fully) (?:black|white|gr[ae]y|red|green|blue|yellow); entire\w*; whole;
    complete\w*; total\w*; fill\w*; cover\w*; nothing but; silhouettes?; darkness; whiteout; fog\w*;
    erase\w*; black ?out; minimal\w*;
    纯; 全; 空白; 填; 涂; 整; 单色; 清空; 剪影
    """
)
_ENGLISH = re.compile(
    r"\b(?:the|an?|to|of|in|with|and|on|it|is|make|add|remove|change|replace|turn|put|into|his|her|their|its|this|that"
    r"|from|as|for|at|by|give|move|swap|delete|erase|write|draw|color|colour|background|keep|transform|convert)\b",
    re.IGNORECASE,
)
_CHINESE = re.compile("[\u4e00-\u9fff]")
_JAPANESE_KANA = re.compile("[\u3040-\u30ff]")


def asked_for(instruction: str) -> Asked:
    """What the instruction asks for. What is not understood may ask for anything: only pixels speak then."""
    chinese = bool(_CHINESE.search(instruction)) and not _JAPANESE_KANA.search(instruction)
    return Asked(
        nothing=bool(_NOTHING.search(instruction)),
        fine=bool(_FINE.search(instruction)),
        movement=bool(_MOVEMENT.search(instruction)),
        frame=bool(_FRAME.search(instruction)),
        shape=bool(_SHAPE.search(instruction)),
        plain=bool(_PLAIN.search(instruction)),
        understood=chinese or bool(_ENGLISH.search(instruction)),
    )
